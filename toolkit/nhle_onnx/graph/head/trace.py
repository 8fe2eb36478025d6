"""From an output back to its heads, and forward again through the nodes that follow them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.constants import is_constant, read_constant, read_integers
from nhle_onnx.graph.head.decomposed import (
    divides_by_sum,
    find_normalized,
    is_softmax,
    is_softplus,
    is_softsign,
    list_reduced_axes,
)
from nhle_onnx.graph.head.names import name_layer, name_node
from nhle_onnx.graph.head.patterns.registry import read_layer
from nhle_onnx.graph.head.shapes import Shapes
from nhle_onnx.graph.head.sums import (
    add,
    concatenate,
    make_constant_trail,
    negate,
    scale,
    take,
)
from nhle_onnx.graph.head.tail import TAIL, normalize
from nhle_onnx.graph.head.tail_operands import choose, divide, multiply, shift_by
from nhle_onnx.graph.head.trail import Trail, start_trail

_DEEPEST = 64
_CONTRADICTIONS = (ArithmeticError, IndexError, KeyError, TypeError, ValueError)
_SHIFTS = frozenset({"Sub", "Add"})
Found = Trail | str


class Tracer:
    """Traces the tensors of one graph back to heads, each tensor once."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._done: dict[str, Found] = {}

    def trace(self, tensor: gs.Tensor, depth: int = 0) -> Found:
        """Return the trail from heads to `tensor`, or why it does not hold a head's scores."""
        if tensor.name not in self._done:
            self._done[tensor.name] = self._trace(tensor, depth)
        return self._done[tensor.name]

    def _trace(self, tensor: gs.Tensor, depth: int) -> Found:
        if not tensor.inputs:
            return f"{tensor.name} is not computed by any node"
        if depth > _DEEPEST:
            return f"{tensor.name} lies behind too many nodes"
        node = tensor.inputs[0]
        try:
            found = self._follow(tensor, node, depth + 1)
        except _CONTRADICTIONS:  # between shapes and operands: no kernel would run the node
            found = f"{tensor.name} comes from {name_node(node)}, which is not a valid node"
        if isinstance(found, str):
            return found
        return replace(
            found, tensor=tensor, scores=found.scores if found.is_frozen else tensor.name
        )

    def _follow(self, tensor: gs.Tensor, node: gs.Node, depth: int) -> Found:
        if (normalized := find_normalized(node)) is not None:
            divided = self._normalize(node, normalized, depth)
            if divided is not None:
                return divided
        if node.op == "Conv" and node.inputs[0].shape is None:  # its window may fill its map
            node.inputs[0].shape = self._shapes.find(node.inputs[0])
        head = read_layer(node, tensor)
        if not isinstance(head, str):
            return start_trail(head, tensor, self._shapes)
        if follow := self._joins.get(node.op):
            found = follow(node, tensor, depth)
            return head if found is None else found
        if node.op not in TAIL:
            return head
        return self._then(node.inputs[0], depth, partial(TAIL[node.op], node))

    def _normalize(self, node: gs.Node, normalized: gs.Tensor, depth: int) -> Found | None:
        """Follow scores that are divided by a number computed from all of them, or lowered by it;
        None if that could change their order.
        """
        inner = self.trace(normalized, depth)
        if isinstance(inner, str):
            return inner
        if not inner.shares_along(list_reduced_axes(node)):
            reason = f"is followed by {name_node(node)} along another axis than the classes'"
            return _name_head(reason, inner)
        is_softmax_part = is_softmax(node)
        if divides_by_sum(node) and not (inner.is_positive or is_softmax_part):
            return None
        is_share = node.op == "Div" and (inner.is_positive or is_softmax_part)
        divided = normalize(inner, tensor=normalized.name)
        return replace(divided, is_positive=is_share, is_normalized=is_share or node.op == "Sub")

    @property
    def _joins(self) -> Mapping[str, Callable[[gs.Node, gs.Tensor, int], Found | None]]:
        """How to follow nodes of several operands. The functions return None for a node that does
        not keep the order of scores.
        """
        return {
            "Add": self._sum,
            "Concat": self._concatenate,
            "Div": self._divide,
            "Mean": self._sum,
            "Mul": self._multiply,
            "SequenceAt": self._take_part,
            "Split": self._split,
            "Sub": self._sum,
            "Sum": self._sum,
            "Where": self._choose,
        }

    def _then(self, tensor: gs.Tensor, depth: int, step: Callable[[Trail], Found]) -> Found:
        """Trace a tensor, then take one more step."""
        inner = self.trace(tensor, depth)
        return inner if isinstance(inner, str) else _name_head(step(inner), inner)

    def _sum(self, node: gs.Node, tensor: gs.Tensor, depth: int) -> Found | None:
        """Add a constant, or the scores of several heads."""
        constants = [is_constant(each) for each in node.inputs]
        if node.op in _SHIFTS and any(constants):
            return None if all(constants) else self._shift(node, constants.index(True), depth)
        first = self.trace(node.inputs[0], depth)
        if isinstance(first, str):
            return first
        others = [self._trace_operand(node, each, depth) for each in node.inputs[1:]]
        trails = [first, *(each for each in others if not isinstance(each, str))]
        return _add_up(node, trails, tensor) if len(trails) == len(node.inputs) else None

    def _trace_operand(self, node: gs.Node, tensor: gs.Tensor, depth: int) -> Found:
        """Trace an operand after the first, which a Sub subtracts."""
        return self._then(
            tensor, depth, lambda trail: negate(trail, node.op) if node.op == "Sub" else trail
        )

    def _shift(self, node: gs.Node, constant: int, depth: int) -> Found:
        amounts = node.inputs[constant]
        if node.op == "Sub" and constant == 0:
            negated = self._trace_operand(node, node.inputs[1], depth)
            return negated if isinstance(negated, str) else shift_by(node, negated, amounts)
        sign = -1 if node.op == "Sub" else 1
        other = node.inputs[1 - constant]
        return self._then(other, depth, lambda trail: shift_by(node, trail, amounts, sign))

    def _multiply(self, node: gs.Node, _tensor: gs.Tensor, depth: int) -> Found | None:
        other, factor = sorted(node.inputs, key=is_constant)
        if is_constant(other) or not is_constant(factor):
            return None
        return self._then(other, depth, lambda trail: multiply(node, trail, factor))

    def _divide(self, node: gs.Node, _tensor: gs.Tensor, depth: int) -> Found | None:
        dividend, divisor = node.inputs
        if is_softsign(node):
            return self._then(dividend, depth, partial(TAIL["Softsign"], node))
        if not is_constant(divisor):
            return None
        return self._then(dividend, depth, lambda trail: divide(node, trail, divisor))

    def _choose(self, node: gs.Node, _tensor: gs.Tensor, depth: int) -> Found | None:
        if is_softplus(node):
            return self.trace(node.inputs[2], depth)
        other, constant = sorted(node.inputs[1:], key=is_constant)
        if is_constant(other) or not is_constant(constant):
            return None
        keeps = other is node.inputs[1]
        return self._then(other, depth, lambda trail: choose(node, trail, constant, keeps=keeps))

    def _concatenate(self, node: gs.Node, tensor: gs.Tensor, depth: int) -> Found | None:
        """Join classes, or stack heads that have the same classes."""
        trails: list[Trail] = []
        for each in node.inputs:
            found = self._join(each, int(node.attrs.get("axis", 0)), depth)
            if isinstance(found, str):
                return found
            trails.append(found)
        first = next((trail for trail in trails if trail.axis is not None), None)
        if first is None:
            return None
        axis = int(node.attrs.get("axis", 0))
        if first.counts_classes_along(axis):
            return _name_head(concatenate(trails, tensor), first)
        total = _name_head(add(trails, tensor), first)
        place = first.count_from_end(axis)
        return total if isinstance(total, str) else replace(total, stacked=place)

    def _join(self, tensor: gs.Tensor, axis: int, depth: int) -> Found:
        """Trace classes that are joined to others; their scores may be constants."""
        values = read_constant(tensor)
        if values is None:
            return self.trace(tensor, depth)
        shape = self._shapes.find(tensor) or values.shape
        count = shape[axis] if -len(shape) <= axis < len(shape) else None
        if not isinstance(count, int) or values.size not in {1, count}:
            return f"{tensor.name} is not one constant for each class"
        return make_constant_trail(
            np.broadcast_to(values.astype(float).ravel(), count), tensor, self._shapes
        )

    def _split(self, node: gs.Node, tensor: gs.Tensor, depth: int) -> Found:
        inner = self.trace(node.inputs[0], depth)
        if isinstance(inner, str):
            return inner
        place = next(index for index, each in enumerate(node.outputs) if each is tensor)
        equal = _split_evenly(inner.num_classes, len(node.outputs))
        sizes = read_integers(node, "split", 1, absent=equal)
        if sizes is None:
            return _name_head(
                f"is followed by {name_node(node)}, whose lengths are not constant", inner
            )
        return _take_range(node, inner, sizes, place)

    def _take_part(self, node: gs.Node, _tensor: gs.Tensor, depth: int) -> Found | None:
        """Take a part of a sequence: exporters split a tensor into one if its extent is unknown."""
        sequence, place = node.inputs[0].inputs[0], read_constant(node.inputs[1])
        if sequence.op != "SplitToSequence" or place is None:
            return None
        inner = self.trace(sequence.inputs[0], depth)
        if isinstance(inner, str):
            return inner
        given = read_constant(sequence.inputs[1]) if len(sequence.inputs) > 1 else np.array(1)
        if given is None:
            return None
        sizes = given if given.ndim else _split_by_size(inner.num_classes, int(given))
        part = _take_range(sequence, inner, [int(size) for size in sizes], int(place))
        is_whole = len(sequence.inputs) > 1 or sequence.attrs.get("keepdims", 1)
        return part if is_whole or isinstance(part, str) else replace(part, axis=None)


def _add_up(node: gs.Node, trails: list[Trail], tensor: gs.Tensor) -> Found:
    total = _name_head(add(trails, tensor), trails[0])
    if isinstance(total, str) or node.op != "Mean":
        return total
    return _name_head(scale(total, np.full(total.num_classes, 1 / len(trails)), node.op), total)


def _take_range(node: gs.Node, trail: Trail, sizes: Sequence[int], place: int) -> Found:
    """Take one of the ranges into which a node splits the classes."""
    if not trail.counts_classes_along(int(node.attrs.get("axis", 0))):
        return _name_head(
            f"is followed by {name_node(node)} along another axis than the classes'", trail
        )
    start = sum(sizes[: place % len(sizes)])
    return take(trail, np.arange(start, start + sizes[place]))


def _split_by_size(count: int, size: int) -> list[int]:
    """Return the sizes of parts of `size`; the last may be smaller."""
    return [min(size, count - start) for start in range(0, count, size)]


def _split_evenly(count: int, parts: int) -> tuple[int, ...]:
    """Return the sizes of equal parts; the last may be smaller."""
    size = -(-count // parts)
    return tuple(min(size, count - size * index) for index in range(parts))


def _name_head(found: Found, trail: Trail) -> Found:
    """Begin a refusal with the name of the head; return a trail as it is."""
    if not isinstance(found, str):
        return found
    return f"{name_layer(trail.parts[0].head)} {found}"
