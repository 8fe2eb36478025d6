"""Every part of a model file: its graph, graphs inside nodes, functions, and all else."""

from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import GraphProto, NodeProto, TensorProto, TypeProto

Fields = Sequence[tuple[FieldDescriptor, Any]]
_LEAVES = (TensorProto, TypeProto.Tensor)


def walk_messages(root: Message) -> Iterator[tuple[Message, Fields]]:
    """Yield each message below `root`, itself first, with its fields. A tensor comes without
    fields, as listing them would copy its numbers; so do tensor types, as there are very many.
    """
    waiting = [root]
    while waiting:
        message = waiting.pop()
        if isinstance(message, _LEAVES):
            yield message, ()
            continue
        fields = message.ListFields()
        yield message, fields
        for field, value in fields:
            if field.message_type is not None:
                waiting.extend([value] if isinstance(value, Message) else value)


def list_all_tensors(root: Message) -> Iterator[TensorProto]:
    """Yield every tensor, wherever it stands."""
    return (message for message, _ in walk_messages(root) if isinstance(message, TensorProto))


def list_subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the branches of a node, or the body of a loop."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def list_graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """Yield a graph and those in its nodes; protobuf itself limits their depth."""
    yield graph
    for node in graph.node:
        for inner in list_subgraphs(node):
            yield from list_graphs(inner)
