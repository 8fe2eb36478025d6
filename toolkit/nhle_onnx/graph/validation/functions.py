"""Local functions that call themselves, or that expand to too many nodes."""

from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from google.protobuf.message import Message
from onnx import FunctionProto, ModelProto, NodeProto

from nhle_onnx.graph.traversal import walk_messages

_Key = tuple[str, str, str]
_MAX_DEPTH = 64  # of nested calls


def list_function_faults(model: ModelProto) -> Iterator[str]:
    """Yield what is wrong with the functions of a model."""
    calls = _list_calls(model)
    if len(calls) < len(model.functions):
        yield "defines a function twice"
    try:
        ordered = _sort(calls)
    except CycleError as error:
        yield f"has a function that calls itself: {error.args[1][0][1]}"
        return
    depths: dict[_Key, int] = {}
    for key in ordered:
        depths[key] = 1 + max((depths[other] for other in calls[key] if other in depths), default=0)
    if max(depths.values(), default=0) > _MAX_DEPTH:
        yield f"has functions that call each other more than {_MAX_DEPTH} levels deep"


def count_nodes(model: ModelProto) -> int:
    """Count the nodes of a model with valid functions, with every call expanded."""
    calls = _list_calls(model)
    if not calls:
        return 0
    sizes: dict[_Key, int] = {}
    for key in _sort(calls):
        sizes[key] = _add_up(calls[key], sizes)
    return _add_up(_count_uses(model.graph), sizes)


def _list_calls(model: ModelProto) -> dict[_Key, Counter[_Key]]:
    return {_identify(function): _count_uses(function) for function in model.functions}


def _sort(calls: Mapping[_Key, Counter[_Key]]) -> tuple[_Key, ...]:
    """Sort functions, each after those that it calls. Raises CycleError where one calls itself."""
    local = {key: {other for other in used if other in calls} for key, used in calls.items()}
    return tuple(TopologicalSorter(local).static_order())


def _identify(part: FunctionProto | NodeProto) -> _Key:
    name = part.name if isinstance(part, FunctionProto) else part.op_type
    return part.domain, name, part.overload


def _count_uses(part: Message) -> Counter[_Key]:
    """Count the uses of each operator or function, also in graphs inside nodes."""
    return Counter(
        _identify(message) for message, _ in walk_messages(part) if isinstance(message, NodeProto)
    )


def _add_up(used: Counter[_Key], sizes: Mapping[_Key, int]) -> int:
    """Count nodes, with a function's own nodes in place of each call."""
    return sum(count * sizes.get(key, 1) for key, count in used.items())
