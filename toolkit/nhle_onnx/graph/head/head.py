"""The head as an object: rows of weights and biases, whatever the graph stores them as."""

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
    """Weight as the graph lays it out, and bias [K] (zeros where there is none), in the stored
    type, or as the real numbers that quantized ones stand for.
    """

    weight: Array
    bias: Array


class Head:
    """A classifier's head, bound to the graph that it stands in.

    It knows all that lies between stored numbers and scores: alpha and beta, quantization
    parameters, transposition. So the rows of two heads mean the same.
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
        """The type that its weight is stored in."""
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
        tensor of its own; after a MatMul that takes an Add node. Raises UnsupportedModelError
        where a quantized operator has no room for a bias.
        """
        write_numbers(self.index, self.layout.weight, self.layout.weight_quant_params, weight)
        write_bias(self.index, self.layout, bias)

    def fill_rows(self, classes: list[int], weight: float, bias: float | None = None) -> None:
        """Make every weight of some classes one number, in place; and their biases, if given."""
        stored, biases = (values.copy() for values in self.read())
        rows = stored if self.layout.class_axis == 0 else stored.T  # a view: writes reach `stored`
        rows[classes] = weight
        if bias is not None:
            biases[classes] = bias
        self.write(stored, biases)

    @property
    def rows(self) -> HeadRows:
        """What the head computes with, with every scale in it."""
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
        """Return a copy of this model with the original's rows: what it then recognises of a
        forgotten class was left in the features.
        """
        return self.with_rows(original.rows)
