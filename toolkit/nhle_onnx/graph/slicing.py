"""The part of a graph that a tensor depends on."""

from collections.abc import Sequence

from onnx import GraphProto, ModelProto, NodeProto


def list_ancestors(graph: GraphProto, outputs: Sequence[str]) -> tuple[NodeProto, ...]:
    """The nodes that the named tensors are computed from, in the graph's own order."""
    needed = set(outputs)
    ancestors = []
    for node in reversed(graph.node):  # ONNX requires topological order
        if needed.intersection(node.output):
            ancestors.append(node)
            needed.update(node.input)
    return tuple(reversed(ancestors))


def expose_tensor(proto: ModelProto, name: str) -> ModelProto:
    """A copy of the model whose only output is the named tensor, of any type and shape."""
    exposed = ModelProto()
    exposed.CopyFrom(proto)
    nodes = list_ancestors(proto.graph, (name,))
    del exposed.graph.node[:]
    exposed.graph.node.extend(nodes)
    del exposed.graph.output[:]
    exposed.graph.output.add().name = name
    return exposed
