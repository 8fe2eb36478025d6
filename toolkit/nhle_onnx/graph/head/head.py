"""The head as an object: rows of weights and biases, however the graph stores them."""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.graph.element_types import ElementType, get_element_type
from nhle_onnx.graph.head.bias import write_bias
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.quant_params import read_numbers, write_numbers
from nhle_onnx.values.model import ClassifierHead

Array = npt.NDArray[np.floating]


class HeadRows(NamedTuple):
    """Weight [K, D] and bias [K] as real numbers: scores = features · weightᵀ + bias."""

    weight: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]


class StoredHead(NamedTuple):
    """The weight in the graph's layout, and the bias [K], zeros where there is no bias.

    Both are in the stored type; quantized values are given as the real numbers they stand for.
    """

    weight: Array
    bias: Array


class Head:
    """A classifier's head, bound to its graph.

    Its rows include everything between stored numbers and scores: alpha and beta, quantization
    parameters, transposition. So the rows of two heads can be compared and exchanged.
    """

    def __init__(self, proto: ModelProto, layout: ClassifierHead) -> None:
        self.index = GraphIndex(proto)
        self.layout = layout

    @property
    def proto(self) -> ModelProto:
        """The graph's model."""
        return self.index.proto

    @cached_property
    def element_type(self) -> ElementType:
        """The type in which its weight is stored."""
        return get_element_type(self.index.tensors[self.layout.weight].data_type)

    def read(self) -> StoredHead:
        """Return the weight in its stored layout, and the bias."""
        layout = self.layout
        weight = read_numbers(self.index, layout.weight, layout.weight_quant_params)
        if layout.bias is None:
            kind = np.float32 if layout.weight_quant_params else weight.dtype
            return StoredHead(weight, np.zeros(layout.num_classes, kind))
        bias = read_numbers(self.index, layout.bias, layout.bias_quant_params)
        return StoredHead(weight, bias.reshape(layout.num_classes))

    def write(self, weight: Array, bias: Array) -> None:
        """Write the weight in its stored layout, and the bias [K], in place.

        A bias that the exporter dropped, or that the head shares with another layer, becomes a
        tensor of its own; behind a MatMul, this adds an Add node. Raises UnsupportedModelError
        where a quantized operator has no room for a bias.
        """
        write_numbers(self.index, self.layout.weight, self.layout.weight_quant_params, weight)
        write_bias(self.index, self.layout, bias)

    def fill_rows(self, classes: list[int], weight: float, bias: float | None = None) -> None:
        """Set every weight of some classes to one number, in place, and their biases if given."""
        stored, biases = (values.copy() for values in self.read())
        rows = stored if self.layout.class_axis == 0 else stored.T  # a view: writes reach `stored`
        rows[classes] = weight
        if bias is not None:
            biases[classes] = bias
        self.write(stored, biases)

    @property
    def rows(self) -> HeadRows:
        """The head's effective weights and biases, with every scale included."""
        layout = self.layout
        weight, bias = self.read()
        moved = np.moveaxis(weight.astype(np.float64), layout.class_axis, 0)
        return HeadRows(
            moved.reshape(layout.num_classes, layout.feature_dim) * layout.weight_scale,
            bias.astype(np.float64) * layout.bias_scale,
        )

    def with_rows(self, rows: HeadRows) -> ModelProto:
        """Return a copy of the model with these rows, in its own number format and scales."""
        changed = ModelProto()
        changed.CopyFrom(self.proto)
        weight, bias = self.read()
        shape = np.moveaxis(weight, self.layout.class_axis, 0).shape
        own = rows.weight / self.layout.weight_scale
        stored = np.moveaxis(own.reshape(shape), 0, self.layout.class_axis)
        own_bias = rows.bias / (self.layout.bias_scale or 1.0)
        Head(changed, self.layout).write(stored.astype(weight.dtype), own_bias.astype(bias.dtype))
        return changed

    def restore(self, original: "Head") -> ModelProto:
        """Return a copy of this model with the original's rows. What the copy then recognises of a
        forgotten class is still in the features.
        """
        return self.with_rows(original.rows)
