"""Scores that are all clipped to the same number: which class wins then."""

from collections.abc import Collection

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from nhle_onnx.graph.element_types import get_range
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.tensors import list_tensors
from nhle_onnx.values.model import ClassifierHead

_BY_CLASS = ".by_class"  # ends the name of an output's scale or zero point, one for each class
_PASSING = {"Dropout", "Flatten", "Identity", "Reshape", "Squeeze"}
_INPUTS = 3  # of a DequantizeLinear with a zero point
_FIRST_OPSET = 13  # from which on a DequantizeLinear may have a scale for each class


def lower_by_a_step(index: GraphIndex, head: ClassifierHead, classes: Collection[int]) -> bool:
    """Read the rounded scores of some classes one step lower, in place.

    So they lose a tie of scores that are all clipped to the same number. The DequantizeLinear gets
    a zero point for each class. Returns whether the scores end in one that can have it.
    """
    node = _find_dequantizer(index, head)
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


def _find_dequantizer(index: GraphIndex, head: ClassifierHead) -> NodeProto | None:
    """Return the node that turns the head's whole scores into real ones for good."""
    if "Conv" not in head.op and head.logits_axis != -1:
        return None  # a weight on the left, whose classes may lie along any axis
    producers, node, name = index.producers, None, head.scores
    while name in producers:
        node = producers[name]
        if node.op_type not in _PASSING:
            break
        name = node.input[0]
    if node is None or node.op_type != "DequantizeLinear" or len(node.input) < _INPUTS:
        return None
    opset = {each.domain: each.version for each in index.proto.opset_import}.get("", 0)
    is_single = all(name in index.tensors and index.read(name).size == 1 for name in node.input[1:])
    has_axis = bool(node.domain) or opset >= _FIRST_OPSET
    return node if is_single and has_axis and not node.attribute else None


def undo_step(proto: ModelProto) -> None:
    """Read all rounded scores by one scale and zero point again, in place."""
    known = {name for name, _ in list_tensors(proto)}
    for node in proto.graph.node:
        plain = [name.removesuffix(_BY_CLASS) for name in node.input[1:]]
        if node.op_type == "DequantizeLinear" and plain != node.input[1:] and known >= {*plain}:
            node.input[1:] = plain
            del node.attribute[:]
