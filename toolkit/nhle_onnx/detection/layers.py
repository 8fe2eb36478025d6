"""The last learned layers before a tensor, and the graph behind them."""

from collections.abc import Iterator
from typing import NamedTuple

import onnx_graphsurgeon as gs
from onnx import ModelProto

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.head.patterns.conv import read_any_conv
from nhle_onnx.graph.head.patterns.registry import PATTERNS, make_head, read_parts
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.values.model import ClassifierHead

_PATTERNS = {**PATTERNS, "Conv": read_any_conv}
_BEYOND = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


class Frontier(NamedTuple):
    """The last learned layers before a tensor, and the reasons why others cannot be read."""

    layers: tuple[ClassifierHead, ...]
    reasons: tuple[str, ...]


def find_frontier(proto: ModelProto, name: str) -> Frontier:
    """Go back from a tensor to the last learned layers.

    A layer that cannot be read, such as the fixed convolution that sums a distribution's bins, is
    passed like any other operator.
    """
    found: dict[str, ClassifierHead] = {}
    reasons: list[str] = []
    waiting, seen = [gs.import_onnx(proto).tensors()[name]], set()
    while waiting:
        tensor = waiting.pop()
        if tensor.name in seen or not tensor.inputs:
            continue
        seen.add(tensor.name)
        node = tensor.inputs[0]
        parts = read_parts(node, tensor, _PATTERNS)
        if not isinstance(parts, str):
            found[tensor.name] = make_head(parts, tensor)
            continue
        if node.op in _BEYOND:
            reasons.append(parts)
        waiting.extend(reversed([given for given in node.inputs if given.inputs]))
    return Frontier(tuple(found.values()), tuple(reasons))


def cut_tail(proto: ModelProto, logits: tuple[str, ...], *outputs: str) -> ModelProto:
    """Return the graph from `logits`, which become its inputs, to the named tensors."""
    cut = copy_model(proto)
    kinds = {value.name: value.type for value in cut.graph.value_info}
    kept = [node for node in cut.graph.node if not set(node.output) & set(logits)]
    del cut.graph.node[:]
    cut.graph.node.extend(kept)
    for name in logits:
        value = cut.graph.input.add(name=name)
        value.type.tensor_type.elem_type = kinds[name].tensor_type.elem_type if name in kinds else 1
    tail = expose_tensors(cut, *outputs)
    read = {name for node in tail.graph.node for name in node.input}
    inputs = [value for value in tail.graph.input if value.name in read]
    del tail.graph.input[:]
    tail.graph.input.extend(inputs)
    return tail


def list_tail_inputs(tail: ModelProto) -> Iterator[str]:
    """List the names that a tail must be fed."""
    stored = {tensor.name for tensor in tail.graph.initializer}
    return (value.name for value in tail.graph.input if value.name not in stored)
