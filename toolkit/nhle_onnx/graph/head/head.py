"""The head as an object: rows of weights and biases, however the graph stores them."""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.element_types import ElementType, get_element_type
from nhle_onnx.graph.head.bias import write_bias
from nhle_onnx.graph.head.row_scales import copy_scales, fit_scales, measure_losses
from nhle_onnx.graph.head.tie import undo_step
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.quant_params import read_numbers, write_numbers
from nhle_onnx.values.model import ClassifierHead

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]
_UINT4_BITS = 4
_MOST_LOST = 0.5  # of a row's length; rounding to 4 bits loses less
_SCALE_FITS = 0.02  # of a row's length; rounding to 8 bits loses less
_ROUNDING_OPERATORS = {"QuantizeLinear", "DynamicQuantizeLinear"}


class HeadRows(NamedTuple):
    """Weight [K, D] and bias [K] as real numbers: scores = features · weightᵀ + bias."""

    weight: Floats
    bias: Floats


class StoredHead(NamedTuple):
    """The weight in the graph's layout, and the bias [K], zeros where there is no bias.

    Both are in the stored type; quantized values are given as the real numbers they stand for.
    """

    weight: Array
    bias: Array


class Places(NamedTuple):
    """For each class [K]: its row, whether it has one, and the factor and summand behind the layer.

    A class without a row gets its summand alone.
    """

    rows: npt.NDArray[np.int64]
    is_there: npt.NDArray[np.bool_]
    scales: Floats
    offsets: Floats


class Head:
    """A classifier's head, bound to its graph.

    Its rows include everything between stored numbers and scores: alpha and beta, quantization
    parameters, transposition, factors and summands behind it, other heads that are added to it. So
    the rows of two heads can be compared and exchanged. `read` and `write` are for the numbers of
    this layer alone.
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
        """The type in which its weight is stored, or to which the graph rounds it."""
        rounding = self.layout.weight_rounding
        if rounding is not None and rounding.zero_point is None:
            return get_element_type(TensorProto.UINT8)
        params = self.layout.weight_quant_params
        if params is not None and params.packed_bits == _UINT4_BITS:
            return get_element_type(TensorProto.UINT4)
        name = self.layout.weight if rounding is None else rounding.zero_point
        return get_element_type(self.index.tensors[name or ""].data_type)

    @property
    def tolerance(self) -> float:
        """How far scores may differ from ONNX Runtime's, relative to the largest."""
        own = self.element_type.tolerance
        rounds = any(node.op_type in _ROUNDING_OPERATORS for node in self.proto.graph.node)
        return max(own, get_element_type(TensorProto.INT8).tolerance) if rounds else own

    @property
    def parts(self) -> Iterator["Head"]:
        """This layer, and those whose scores are added to its, each as a head to read and write."""
        for layout in self.layout.all_parts:
            yield Head(self.proto, layout)

    @property
    def places(self) -> Places:
        """Which row of this layer each class has, and what is done to its score behind it."""
        layout = self.layout
        count = layout.num_classes
        rows = np.array(layout.rows or range(count), np.int64)
        return Places(
            rows,
            rows >= 0,
            np.broadcast_to(layout.scales or 1.0, count).astype(np.float64),
            np.broadcast_to(layout.offsets or 0.0, count).astype(np.float64),
        )

    @property
    def row_scales(self) -> Floats:
        """The factor of each stored row, as a column [R, 1]."""
        layout = self.layout
        count = self.index.tensors[layout.weight].dims[layout.class_axis]
        scales = np.broadcast_to(layout.row_scales or 1.0, count) * layout.weight_scale
        return scales[:, None]

    def read(self) -> StoredHead:
        """Return the weight in its stored layout, and the bias."""
        layout = self.layout
        weight = read_numbers(self.index, layout.weight, layout.weight_quant_params)
        if layout.bias is None:
            kind = np.float32 if layout.weight_quant_params else weight.dtype
            return StoredHead(weight, np.zeros(weight.shape[layout.class_axis], kind))
        bias = read_numbers(self.index, layout.bias, layout.bias_quant_params)
        return StoredHead(weight, bias.reshape(-1))

    def write(self, weight: Array, bias: Array) -> None:
        """Write the weight in its stored layout, and the bias, in place.

        A bias that the exporter dropped, or that the head shares with another layer, becomes a
        tensor of its own; behind a MatMul or Einsum, this adds an Add node. Raises
        UnsupportedModelError where a quantized operator has no room for a bias.
        """
        write_numbers(self.index, self.layout.weight, self.layout.weight_quant_params, weight)
        write_bias(self.index, self.layout, bias)

    @property
    def rows(self) -> HeadRows:
        """The effective weights and biases; the weights of several layers lie side by side."""
        found = [part.own_rows for part in self.parts]
        return HeadRows(
            np.hstack([each.weight for each in found]), np.sum([each.bias for each in found], 0)
        )

    @property
    def own_rows(self) -> HeadRows:
        """The effective weights and biases of this layer alone."""
        layout, places = self.layout, self.places
        weight, bias = self.read()
        moved = np.moveaxis(weight.astype(np.float64), layout.class_axis, 0)
        rows = moved.reshape(len(moved), layout.feature_dim)
        if layout.is_normalized:
            rows = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(min=1e-30)
        rows = rows * self.row_scales
        scales = np.where(places.is_there, places.scales, 0.0)
        biases = bias.astype(np.float64) * layout.bias_scale
        return HeadRows(
            rows[places.rows] * scales[:, None],
            biases[places.rows] * scales + places.offsets,
        )

    def with_rows(self, rows: HeadRows) -> ModelProto:
        """Return a copy of the model with these rows, in its own number format and scales.

        With several layers, each takes the weights of its own features, and the first that
        computes a class takes its bias.
        """
        changed = copy_model(self.proto)
        parts = list(self.parts)
        biases = [part.own_rows.bias for part in parts]
        is_open = np.ones(self.layout.num_classes, bool)
        start = 0
        for position, part in enumerate(parts):
            is_owned = part.places.is_there & is_open
            others = [each for place, each in enumerate(biases) if place != position]
            bias = np.where(is_owned, rows.bias - np.sum(others, 0), biases[position])
            stop = start + part.layout.feature_dim
            own = HeadRows(rows.weight[:, start:stop], bias)
            Head(changed, part.layout).write_rows(own)
            is_open, start = is_open & ~is_owned, stop
        return changed

    def write_rows(self, rows: HeadRows) -> None:
        """Write this layer's effective weights and biases, in place. Unused rows stay."""
        self.write(*self._express(rows))

    def _express(self, rows: HeadRows) -> StoredHead:
        """Return what is to be stored for these effective weights and biases."""
        layout, places = self.layout, self.places
        weight, bias = self.read()
        moved = np.moveaxis(weight, layout.class_axis, 0).copy()
        classes, own = np.flatnonzero(places.is_there), places.rows[places.is_there]
        scales = places.scales[classes]
        given = rows.weight[classes] / self.row_scales[own] / scales[:, None]
        moved[own] = given.reshape(-1, *moved.shape[1:]).astype(weight.dtype)
        biases = bias.copy()
        given_bias = (rows.bias[classes] - places.offsets[classes]) / scales
        biases[own] = (given_bias / (layout.bias_scale or 1.0)).astype(bias.dtype)
        return StoredHead(np.moveaxis(moved, 0, layout.class_axis), biases)

    def take_rows(self, original: "Head") -> None:
        """Write the original's rows of this layer, in place, with its scales where each row has its
        own. Where these are missing, and quantization gave a masked row a scale that cannot hold
        the original's, that row gets one that can.
        """
        rows, places = original.own_rows, self.places
        own = places.rows[places.is_there]
        copy_scales(self.index, self.layout, own, original.index)
        self.write_rows(rows)
        is_off = (measure_losses(self.own_rows.weight, rows.weight) > _SCALE_FITS) & places.is_there
        if is_off.any():
            weight = self._express(rows).weight
            fit_scales(self.index, self.layout, places.rows[is_off], weight)
            self.write_rows(rows)

    def restore(self, original: "Head") -> ModelProto:
        """Return a copy of this model with the original's rows. What the copy then recognises of a
        forgotten class is in the features.
        """
        restored = copy_model(self.proto)
        undo_step(restored)
        head = Head(restored, self.layout)
        ours, theirs = (
            [part.layout.feature_dim for part in each.parts] for each in (self, original)
        )
        if ours != theirs:
            return head.with_rows(original.rows)
        for part, source in zip(head.parts, original.parts, strict=True):
            part.take_rows(source)
        return restored

    def find_lost(self, original: "Head") -> int | None:
        """Find the class whose row differs most from the original's, or None if all are close. The
        scale of a masked, quantized row may be too small to hold the original's weights.
        """
        shares = measure_losses(self.rows.weight, original.rows.weight)
        return int(shares.argmax()) if shares.max() > _MOST_LOST else None
