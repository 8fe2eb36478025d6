"""Ties: where all scores are clipped to the same number, a forgotten class must not win."""

from collections.abc import Collection

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from nhle_onnx.graph.element_types import get_range
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.subgraph import list_behind
from nhle_onnx.graph.tensors import list_tensors
from nhle_onnx.values.model import ClassifierHead

_BY_CLASS = ".by_class"  # ends the name of an output's scale or zero point, one for each class
_PASSING = {"Dropout", "Flatten", "Identity", "Reshape", "Squeeze"}
_INPUTS = 3  # of a DequantizeLinear with a zero point
_FIRST_OPSET = 13  # whose DequantizeLinear may have a scale for each class


def lower_by_a_step(index: GraphIndex, head: ClassifierHead, classes: Collection[int]) -> bool:
    """Read the rounded scores of some classes one step lower, in place, so that they lose a tie.

    The last DequantizeLinear gets a zero point for each class. Returns whether there is one that
    can have it.
    """
    ends = (_find_last(index, head), *(_find_behind(index, each.logits) for each in head.all_parts))
    node = next((node for node in ends if node is not None and _has_room(index, head, node)), None)
    if node is None:
        return False
    scale, point = (index.read(name) for name in node.input[1:])
    points = np.full(head.num_classes, point.item(), np.int64)
    points[[*classes]] += 1
    if points.max() > get_range(index.tensors[node.input[2]].data_type)[1]:
        return False
    for place, values in ((1, np.full(len(points), scale.item())), (2, points)):
        kind = index.read(node.input[place]).dtype
        node.input[place] += _BY_CLASS
        added = numpy_helper.from_array(values.astype(kind), node.input[place])
        index.proto.graph.initializer.append(added)
    if "Conv" not in head.op:  # whose classes lie along axis 1, the default
        node.attribute.append(helper.make_attribute("axis", -1))
    return True


def _find_last(index: GraphIndex, head: ClassifierHead) -> NodeProto:
    """Return the node that computes the scores, before nodes that only move them."""
    node = index.producers[head.scores]
    while node.op_type in _PASSING:
        node = index.producers[node.input[0]]
    return node


def _find_behind(index: GraphIndex, logits: str) -> NodeProto | None:
    """Return the node that turns a layer's integer logits into real numbers, if nothing behind it
    rounds them again.
    """
    node, name = None, logits
    while node is None or node.op_type in {*_PASSING, "QuantizeLinear"}:
        readers = [each for each in index.proto.graph.node if name in each.input]
        if len(readers) != 1:
            return None
        node, name = readers[0], readers[0].output[0]
    behind = list_behind(index.proto.graph, (name,))
    rounds = any(
        each.op_type.startswith("Q") and behind & {*each.output} for each in index.proto.graph.node
    )
    return None if rounds else node


def _has_room(index: GraphIndex, head: ClassifierHead, node: NodeProto) -> bool:
    """Whether a node is a DequantizeLinear that can have a zero point for each class."""
    if "Conv" not in head.op and head.logits_axis != -1:
        return False  # a weight on the left, whose classes may lie along any axis
    if node.op_type != "DequantizeLinear" or len(node.input) < _INPUTS:
        return False
    opset = {each.domain: each.version for each in index.proto.opset_import}.get("", 0)
    is_single = all(name in index.tensors and index.read(name).size == 1 for name in node.input[1:])
    has_axis = bool(node.domain) or opset >= _FIRST_OPSET
    return is_single and has_axis and not node.attribute


def undo_step(proto: ModelProto) -> None:
    """Undo `lower_by_a_step`, in place: read all rounded scores by one scale and zero point."""
    known = {name for name, _ in list_tensors(proto)}
    for node in proto.graph.node:
        plain = [name.removesuffix(_BY_CLASS) for name in node.input[1:]]
        if node.op_type == "DequantizeLinear" and plain != node.input[1:] and known >= {*plain}:
            node.input[1:] = plain
            del node.attribute[:]
