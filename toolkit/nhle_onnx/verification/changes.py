"""What an edit changed in a model, and whether it was allowed to."""

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass

from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.head.tie import undo_step
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.tensors import list_tensors

_READING = frozenset({"Cast", "DequantizeLinear", "Identity"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Names of changed and added tensors, and whether everything else is byte-identical."""

    changed: tuple[str, ...]
    added: tuple[str, ...]
    is_graph_same: bool


def compare_models(before: ModelProto, after: ModelProto) -> Changes:
    """Compare tensors one by one, and everything else as a whole.

    A bias added to a head without one counts as a tensor, not as a changed graph, together with the
    Add node that it needs behind a MatMul, and so do a zero point and scale for each class.
    """
    old, new = GraphIndex(before).tensors, GraphIndex(after).tensors
    changed = tuple(
        name for name, tensor in old.items() if name in new and not _is_same(tensor, new[name])
    )
    added = tuple(name for name in new if name not in old)
    return Changes(
        changed=changed,
        added=added,
        is_graph_same=_strip(before, (), before) == _strip(after, added, before),
    )


def list_outside(changes: Changes, allowed: Collection[str]) -> tuple[str, ...]:
    """List changed tensors that the edit was not allowed to change."""
    return tuple(name for name in changes.changed if name not in allowed)


def _is_same(tensor: TensorProto, other: TensorProto) -> bool:
    """Whether bytes agree; one tensor may have more than protobuf can serialise."""
    if tensor.raw_data != other.raw_data:
        return False
    if len(tensor.raw_data) == 0:
        return bool(tensor.SerializeToString() == other.SerializeToString())
    return (tensor.data_type, tensor.dims) == (other.data_type, other.dims)


def _strip(proto: ModelProto, added: Collection[str], original: ModelProto) -> bytes:
    """Return the model without its tensors' values and without added tensors: an added one that
    replaces one of the original's becomes that one again.
    """
    stripped = copy_model(proto)
    undo_step(stripped)
    graph = stripped.graph
    for tensor in [item for item in graph.initializer if item.name in added]:
        graph.initializer.remove(tensor)
    for value in [item for item in graph.input if item.name in added]:
        graph.input.remove(value)
    for _, tensor in list_tensors(stripped):
        for field in ("raw_data", "float_data", "int32_data"):
            tensor.ClearField(field)
    _undo_added_bias(graph, added, GraphIndex(original))
    content: bytes = stripped.SerializeToString(deterministic=True)
    return content


def _undo_added_bias(graph: GraphProto, added: Collection[str], original: GraphIndex) -> None:
    """Remove added tensors from their nodes, and Add nodes that were added for them."""
    constants = _list_constants(original)
    for node in [node for node in graph.node if set(node.input) & set(added)]:
        kept = [name for name in node.input if name not in added]
        was = next((original.producers.get(name) for name in node.output), None)
        if was is not None and was.op_type == node.op_type:
            kept = _put_back(node.input, added, was.input, constants)
        elif node.op_type == "Add" and (producer := _find_producer(graph, kept)):
            producer.output[0] = node.output[0]
            graph.node.remove(node)
            continue
        del node.input[:]
        node.input.extend(kept)


def _list_constants(index: GraphIndex) -> set[str]:
    """List tensors, and what is read from one under another name, in another type, or as the real
    numbers that its integers stand for.
    """
    known = {*index.tensors}
    for node in index.proto.graph.node:  # in the order in which they are computed
        if node.op_type in _READING and known >= {*filter(None, node.input)}:
            known.update(node.output)
    return known


def _put_back(
    inputs: Sequence[str],
    added: Collection[str],
    originals: Sequence[str],
    constants: Container[str],
) -> list[str]:
    """Put the original's tensors back where added ones stand, and leave out what had no place."""
    places = originals[: len(inputs)]
    padded = [*places, *inputs[len(places) :]]
    return [
        old if new in added and (not old or old in constants) else new
        for old, new in zip(padded, inputs, strict=True)
        if old not in added
    ]


def _find_producer(graph: GraphProto, names: Sequence[str]) -> NodeProto | None:
    """Return the node whose first output is the one name that is left."""
    return next((node for node in graph.node if [*node.output[:1]] == [*names] != []), None)
