"""Arithmetic on shapes, kept on the CPU whichever device the network is on.

There its numbers can be read at once. Reading a number from a GPU waits until the GPU has done all
work that it was given so far.
"""

import inspect
from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from typing import Any, get_args, get_origin

import torch
from torch import Tensor, fx, nn

from nhle_onnx.lowering.ops.shape import count_elements, shape_of

_SOURCES = frozenset(inspect.unwrap(each) for each in (shape_of, count_elements))  # as recorded
_MOST = 64  # elements of a constant in such arithmetic


def keep_on_cpu(graph: fx.Graph, root: nn.Module) -> None:
    """Have steps that depend on shapes alone make their own constants, and move their results to
    the device of the steps that read them as tensors. `root` holds the stored tensors.
    """
    shapes: set[fx.Node] = set()
    for node in graph.nodes:
        if node.target in _SOURCES:
            shapes.add(node)
        elif _follows_from_shapes(node, shapes, root):
            _write_constants(node, root)
            shapes.add(node)
        elif node.op.startswith("call") and not shapes.isdisjoint(node.all_input_nodes):
            _move_results(node, shapes)
    graph.eliminate_dead_code()


def _follows_from_shapes(node: fx.Node, shapes: Collection[fx.Node], root: nn.Module) -> bool:
    """Whether a step reads shapes, and besides them only small constants."""
    inputs = [each for each in node.all_input_nodes if _find_constant(each, root) is None]
    return node.op.startswith("call") and bool(inputs) and set(shapes).issuperset(inputs)


def _find_constant(node: fx.Node, root: nn.Module) -> Tensor | None:
    """Return the small, untrained tensor that a step reads; None for any other step."""
    stored = getattr(root, str(node.target)) if node.op == "get_attr" else None
    if not isinstance(stored, Tensor) or isinstance(stored, nn.Parameter):
        return None
    return stored if stored.numel() <= _MOST else None


def _write_constants(node: fx.Node, root: nn.Module) -> None:
    """Write the constants that a step reads into the graph: a stored one moves with the module."""
    for source in node.all_input_nodes:
        constant = _find_constant(source, root)
        if constant is not None:
            with node.graph.inserting_before(node):
                made = node.graph.call_function(
                    torch.tensor, (constant.tolist(),), {"dtype": constant.dtype}
                )
            node.replace_input_with(source, made)


def _move_results(node: fx.Node, shapes: Collection[fx.Node]) -> None:
    """Move the shapes that a step reads to the device of its other inputs, except those that it
    reads as numbers.
    """
    other = next(each for each in node.all_input_nodes if each not in shapes)
    numbers = _list_numbers(node.target) if callable(node.target) else ()

    def move(value: fx.Node) -> fx.Node:
        if value not in shapes:
            return value
        with node.graph.inserting_before(node):
            return node.graph.call_function(move_to, (value, other))

    node.args = tuple(
        argument if place in numbers else fx.map_arg(argument, move)
        for place, argument in enumerate(node.args)
    )
    node.kwargs = fx.map_arg(node.kwargs, move)


@cache
def _list_numbers(function: Callable[..., Any]) -> tuple[int, ...]:
    """List the places of arguments that may be a sequence as well as a tensor: numbers."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # of a builtin
        return ()
    kinds = [get_args(parameter.annotation) for parameter in parameters]
    is_sequence = partial(map, get_origin)
    return tuple(
        place
        for place, kind in enumerate(kinds)
        if Tensor in kind and Sequence in is_sequence(kind)
    )


def move_to(value: object, other: object) -> object:
    """Move a tensor to another's device; other values stay as they are."""
    if isinstance(value, Tensor) and isinstance(other, Tensor):
        return value.to(other.device, non_blocking=True)
    return value
