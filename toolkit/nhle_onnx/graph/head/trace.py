"""The walk from an output back to its heads, and forth again over what follows them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.constants import read_constant, read_integers
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
_LIMITING = frozenset({"Clip", "Expand", "Max"})
_REDUCED = frozenset({"ReduceSum", "ReduceL1", "ReduceL2"})
_SHARED = frozenset({"ReduceMax", "ReduceMean", "ReduceLogSumExp", "ReduceMin"})
Found = Trail | str


class Tracer:
    """Traces tensors of one graph; each is traced once."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._done: dict[str, Found] = {}

    def trace(self, tensor: gs.Tensor, depth: int = 0) -> Found:
        """Return the trail from heads to `tensor`, or why there is none."""
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
        except _CONTRADICTIONS:  # of shapes and operands, which no kernel would take either
            found = f"{tensor.name} comes from {name_node(node)}, which is not a valid node"
        if isinstance(found, str):
            return found
        return replace(
            found, tensor=tensor, scores=found.scores if found.is_frozen else tensor.name
        )

    def _follow(self, tensor: gs.Tensor, node: gs.Node, depth: int) -> Found:
        normalized = _find_normalized(node)
        if normalized is not None:
            inner = self.trace(normalized, depth)
            if isinstance(inner, str):
                return inner
            if inner.is_positive or _is_softmax(node) or not _divides_by_sum(node):
                divided = normalize(inner, tensor=normalized.name)
                return replace(divided, is_positive=node.op == "Div")
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

    @property
    def _joins(self) -> Mapping[str, Callable[[gs.Node, gs.Tensor, int], Found | None]]:
        """What follows nodes of several operands; None for one that keeps no order of scores."""
        return {
            "Add": self._sum,
            "Concat": self._concatenate,
            "Div": self._divide,
            "Mean": self._sum,
            "Mul": self._multiply,
            "Split": self._split,
            "Sub": self._sum,
            "Sum": self._sum,
            "Where": self._choose,
        }

    def _then(self, tensor: gs.Tensor, depth: int, step: Callable[[Trail], Found]) -> Found:
        """Follow what leads to a tensor by a step."""
        inner = self.trace(tensor, depth)
        return inner if isinstance(inner, str) else _blame(step(inner), inner)

    def _sum(self, node: gs.Node, tensor: gs.Tensor, depth: int) -> Found | None:
        """Add a constant, or the scores of several heads."""
        constants = [_is_constant(each) for each in node.inputs]
        if node.op in _SHIFTS and any(constants):
            return None if all(constants) else self._shift(node, constants.index(True), depth)
        first = self.trace(node.inputs[0], depth)
        if isinstance(first, str):
            return first
        others = [self._turn(node, each, depth) for each in node.inputs[1:]]
        trails = [first, *(each for each in others if not isinstance(each, str))]
        return _add_up(node, trails, tensor) if len(trails) == len(node.inputs) else None

    def _turn(self, node: gs.Node, tensor: gs.Tensor, depth: int) -> Found:
        """Follow an operand after the first, which a Sub takes away."""
        return self._then(
            tensor, depth, lambda trail: negate(trail, node.op) if node.op == "Sub" else trail
        )

    def _shift(self, node: gs.Node, constant: int, depth: int) -> Found:
        amounts = node.inputs[constant]
        if node.op == "Sub" and constant == 0:
            negated = self._turn(node, node.inputs[1], depth)
            return negated if isinstance(negated, str) else shift_by(node, negated, amounts)
        sign = -1 if node.op == "Sub" else 1
        other = node.inputs[1 - constant]
        return self._then(other, depth, lambda trail: shift_by(node, trail, amounts, sign))

    def _multiply(self, node: gs.Node, _tensor: gs.Tensor, depth: int) -> Found | None:
        other, factor = sorted(node.inputs, key=_is_constant)
        if _is_constant(other) or not _is_constant(factor):
            return None
        return self._then(other, depth, lambda trail: multiply(node, trail, factor))

    def _divide(self, node: gs.Node, _tensor: gs.Tensor, depth: int) -> Found | None:
        dividend, divisor = node.inputs
        if not _is_constant(divisor):
            return None
        return self._then(dividend, depth, lambda trail: divide(node, trail, divisor))

    def _choose(self, node: gs.Node, _tensor: gs.Tensor, depth: int) -> Found | None:
        if _is_softplus(node):
            return self.trace(node.inputs[2], depth)
        other, constant = sorted(node.inputs[1:], key=_is_constant)
        if _is_constant(other) or not _is_constant(constant):
            return None
        keeps = other is node.inputs[1]
        return self._then(other, depth, lambda trail: choose(node, trail, constant, keeps=keeps))

    def _concatenate(self, node: gs.Node, tensor: gs.Tensor, depth: int) -> Found | None:
        """Put classes side by side, or heads on top of each other."""
        trails: list[Trail] = []
        for each in node.inputs:
            values = read_constant(each)
            if values is not None:
                constant = make_constant_trail(values.astype(float).ravel(), each, self._shapes)
                trails.append(constant)
                continue
            found = self.trace(each, depth)
            if isinstance(found, str):
                return found
            trails.append(found)
        first = next((trail for trail in trails if trail.axis is not None), None)
        if first is None:
            return None
        axis = int(node.attrs.get("axis", 0))
        if first.counts_classes_along(axis):
            return _blame(concatenate(trails, tensor), first)
        total = _blame(add(trails, tensor), first)
        place = first.count_from_end(axis)
        return total if isinstance(total, str) else replace(total, stacked=place)

    def _split(self, node: gs.Node, tensor: gs.Tensor, depth: int) -> Found:
        inner = self.trace(node.inputs[0], depth)
        if isinstance(inner, str):
            return inner
        place = next(index for index, each in enumerate(node.outputs) if each is tensor)
        sizes = read_integers(node, "split", 1) or _share(inner.num_classes, len(node.outputs))
        if not inner.counts_classes_along(int(node.attrs.get("axis", 0))):
            return _blame(f"is followed by {name_node(node)} of other axes", inner)
        start = sum(sizes[:place])
        return take(inner, np.arange(start, start + sizes[place]))


def _add_up(node: gs.Node, trails: list[Trail], tensor: gs.Tensor) -> Found:
    total = _blame(add(trails, tensor), trails[0])
    if isinstance(total, str) or node.op != "Mean":
        return total
    return _blame(scale(total, np.full(total.num_classes, 1 / len(trails)), node.op), total)


def _share(count: int, parts: int) -> tuple[int, ...]:
    size = -(-count // parts)
    return tuple(min(size, count - size * index) for index in range(parts))


def _is_constant(tensor: gs.Tensor) -> bool:
    return read_constant(tensor) is not None


def _blame(found: Found, trail: Trail) -> Found:
    """Put the head before what ends its order."""
    if not isinstance(found, str):
        return found
    return f"{name_layer(trail.parts[0].head)} {found}"


def _find_normalized(node: gs.Node) -> gs.Tensor | None:
    """Return the x of exp(x - max x) / sum exp(x - max x), as Keras exporters write a softmax, of
    x - log sum exp x, and of x / sum x.
    """
    if node.op not in {"Div", "Sub"}:
        return None
    left, right = node.inputs[:2]
    reduced = _skip_limits(right) if node.op == "Div" else right.inputs[0] if right.inputs else None
    if reduced is None or not any(each is left for each in reduced.inputs[:1]):
        return None
    if node.op == "Sub":
        return left if reduced.op in _SHARED else None
    if reduced.op not in _REDUCED:
        return None
    if not _is_softmax(node):
        return left
    exponent: gs.Tensor = left.inputs[0].inputs[0]
    inner = _find_normalized(exponent.inputs[0]) if exponent.inputs else None
    return exponent if inner is None else inner


def _skip_limits(divisor: gs.Tensor) -> gs.Node | None:
    """Return the node that computes a divisor, before what keeps it above 0."""
    node: gs.Node | None = divisor.inputs[0] if divisor.inputs else None
    if node is not None and node.op in _LIMITING and node.inputs[0].inputs:
        return _skip_limits(node.inputs[0])
    return node


def _divides_by_sum(node: gs.Node) -> bool:
    """Whether a divisor could be below 0, if the scores could."""
    reduced = _skip_limits(node.inputs[1])
    return node.op == "Div" and reduced is not None and reduced.op == "ReduceSum"


def _is_softplus(node: gs.Node) -> bool:
    """Whether a node is x where x is large, and softplus x elsewhere, as PyTorch computes it."""
    large, x, function = node.inputs
    compared = large.inputs[0] if large.inputs else None
    computed = function.inputs[0] if function.inputs else None
    return (
        compared is not None
        and computed is not None
        and (compared.op, computed.op) == ("Greater", "Softplus")
        and compared.inputs[0] is x
        and computed.inputs[0] is x
    )


def _is_softmax(node: gs.Node) -> bool:
    return node.op == "Div" and any(each.op == "Exp" for each in node.inputs[0].inputs)
