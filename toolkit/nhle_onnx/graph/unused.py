"""Parts of a file that the network does not use, which may hold copies of old weights."""

from collections.abc import Collection, Iterator, Sequence

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TypeProto

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.subgraph import list_ancestors, list_read
from nhle_onnx.graph.traversal import list_graphs, walk_messages

MAX_TEXT = 2**16  # characters; what exporters note is shorter, weights as text seldom are


def remove_unused(proto: ModelProto, kept: Collection[str] = ()) -> tuple[str, ...]:
    """Remove in place what no output needs, and return its names: nodes, tensors, functions,
    training information, long texts, and fields that ONNX does not know. Tensors of the names
    `kept` stay.
    """
    names = [name for graph in list_graphs(proto.graph) for name in _clean_graph(graph, kept)]
    names += _clean_functions(proto)
    if proto.training_info:
        names.append("training_info")
        del proto.training_info[:]
    names += _clean_texts(proto)
    before = _measure_unknown(proto)
    proto.DiscardUnknownFields()
    if _measure_unknown(proto) < before:
        names.append("unknown fields")
    return tuple(dict.fromkeys(names))


def without_unused(proto: ModelProto, kept: Collection[str] = ()) -> ModelProto:
    """Return the model itself, or a copy without what no output needs."""
    copy = copy_model(proto)
    return copy if remove_unused(copy, kept) else proto


def _clean_graph(graph: GraphProto, kept: Collection[str]) -> Iterator[str]:
    outputs = [value.name for value in graph.output]
    needed = list_ancestors(graph, outputs)
    used = {*outputs, *kept, *(name for node in needed for name in list_read(node))}
    identities = {id(node) for node in needed}
    unused = [node for node in graph.node if id(node) not in identities]
    if len(unused) < len(graph.node):  # otherwise the graph only passes on what it is given
        yield from _remove(graph.node, unused)
    held = {tensor.name for tensor in graph.initializer}
    for tensors in (graph.initializer, graph.sparse_initializer):
        yield from _remove(tensors, [each for each in tensors if _name(each) not in used])
    # before IR version 4, weights were inputs as well
    list(_remove(graph.input, [each for each in graph.input if each.name in held - used]))


def _clean_functions(proto: ModelProto) -> Iterator[str]:
    nodes = [node for graph in list_graphs(proto.graph) for node in graph.node]
    bodies = {(each.domain, each.name): each for each in proto.functions}
    called: set[tuple[str, str]] = set()
    while nodes:
        node = nodes.pop()
        key = (node.domain, node.op_type)
        if key in bodies and key not in called:
            called.add(key)
            nodes += [m for m, _ in walk_messages(bodies[key]) if isinstance(m, NodeProto)]
    yield from _remove(proto.functions, [each for key, each in bodies.items() if key not in called])


def _clean_texts(proto: ModelProto) -> Iterator[str]:
    for message, _ in walk_messages(proto):
        for field in ("doc_string", "value") if _is_entry(message) else ("doc_string",):
            if len(getattr(message, field, "") or "") > MAX_TEXT:
                yield f"the text of {_name(message) or type(message).__name__}"
                message.ClearField(field)


def _measure_unknown(proto: ModelProto) -> int:
    """Return a number that falls when unknown fields are discarded. protobuf itself cannot count
    the bytes of more than 2 GiB.
    """
    return sum(_measure_message(message) for message, _ in walk_messages(proto))


def _measure_message(message: Message) -> int:
    """Count unknown fields, and the bytes of what is not walked further, but for numbers."""
    count = len(UnknownFieldSet(message))
    match message:
        case TensorProto():
            parts = (*message.external_data, *message.metadata_props)
            return count + sum(part.ByteSize() for part in parts)
        case TypeProto.Tensor():
            return message.ByteSize()
    return count


def _is_entry(message: Message) -> bool:
    return message.DESCRIPTOR.name == "StringStringEntryProto"


def _remove(items: object, unused: Sequence[Message]) -> Iterator[str]:
    for item in unused:
        yield _name(item)
        items.remove(item)  # type: ignore[attr-defined]


def _name(item: Message) -> str:
    """Return the name by which a user knows it."""
    if item.DESCRIPTOR.name == "SparseTensorProto":
        return str(item.values.name)  # type: ignore[attr-defined]
    if isinstance(item, NodeProto) and not item.name:
        return str(item.output[0]) if item.output else item.op_type
    return str(getattr(item, "name", "") or getattr(item, "key", ""))
