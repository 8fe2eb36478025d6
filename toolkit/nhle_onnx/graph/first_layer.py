"""The first layer that reads an input: its weight fixes axes that the input may leave open."""

from collections.abc import Mapping
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, helper

from nhle_onnx.graph.index import GraphIndex

# What stands between an input and its first layer: conversion, normalization, resizing, rounding.
_PREPARING = frozenset(
    {
        "Add", "BatchNormalization", "Cast", "Clip", "DequantizeLinear", "Div",
        "DynamicQuantizeLinear", "Identity", "Mul", "Pad", "QuantizeLinear", "Resize", "Sub",
        "Transpose",
    }
)  # fmt: skip
_WEIGHT_PLACES: Mapping[str, int] = {
    "Conv": 1, "ConvInteger": 1, "FusedConv": 1, "QLinearConv": 3,
    "Gemm": 1, "MatMul": 1, "MatMulInteger": 1, "QGemm": 3, "QLinearMatMul": 3,
}  # fmt: skip
_MATRIX_RANK = 2
_TO_CHANNELS_FIRST = [0, 3, 1, 2]
_ALIASES = frozenset({"Cast", "DequantizeLinear", "Identity", "QuantizeLinear"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLayer:
    """What the first layer says of the input: the `channels` that a convolution takes, or the
    `columns` of each row that a matrix product takes; 0 for the other kind of layer.
    `is_channels_last`: the input has its channels last, and the graph moves them to the front.
    """

    channels: int = 0
    columns: int = 0
    is_channels_last: bool = False


def find_first_layer(proto: ModelProto, source: str) -> FirstLayer | None:
    """Follow an input through its preprocessing to the first layer with a weight; None if there is
    no such layer.
    """
    index = GraphIndex(proto)
    waiting, seen = [(source, False)], {source}
    while waiting:
        name, is_channels_last = waiting.pop(0)
        for node in proto.graph.node:
            if name not in node.input:
                continue
            if node.op_type in _WEIGHT_PLACES and (found := _read(index, node)):
                channels, columns = found
                return FirstLayer(
                    channels=channels, columns=columns, is_channels_last=is_channels_last
                )
            if node.op_type in _PREPARING and seen.isdisjoint(node.output[:1]):
                seen.update(node.output[:1])
                is_last = is_channels_last or _moves_channels(node)
                waiting += [(output, is_last) for output in node.output[:1]]
    return None


def _moves_channels(node: NodeProto) -> bool:
    return any(
        attribute.name == "perm" and [*attribute.ints] == _TO_CHANNELS_FIRST
        for attribute in node.attribute
    )


def _read(index: GraphIndex, node: NodeProto) -> tuple[int, int] | None:
    """Return the channels or columns that a layer takes; None if its weight is not constant."""
    place = _WEIGHT_PLACES[node.op_type]
    name = node.input[place] if place < len(node.input) else ""
    while name in index.producers and index.producers[name].op_type in _ALIASES:
        name = index.producers[name].input[0]
    extents = [*index.tensors[name].dims] if name in index.tensors else []
    if len(extents) < _MATRIX_RANK:
        return None
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    if "Conv" in node.op_type:
        return extents[1] * attributes.get("group", 1), 0
    return 0, extents[-1 if attributes.get("transB", 0) else 0]
