"""The part of a graph that a tensor depends on."""

from collections.abc import Collection, Iterator, Sequence

from onnx import GraphProto, ModelProto, NodeProto

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.traversal import list_subgraphs


def list_ancestors(graph: GraphProto, outputs: Sequence[str]) -> tuple[NodeProto, ...]:
    """Return the nodes that compute the named tensors, each after those whose results it needs.

    ONNX demands this order, but some converters ignore it and ONNX Runtime tolerates that. Nodes on
    a cycle are left out.
    """
    producers = {name: node for node in graph.node for name in node.output if name}
    done: dict[int, NodeProto] = {}
    entered: set[int] = set()
    stack = [producers[name] for name in reversed(outputs) if name in producers]
    while stack:
        node = stack[-1]
        needed = [producers[name] for name in list_read(node) if name in producers]
        waiting = [other for other in needed if id(other) not in entered]
        entered.add(id(node))
        if waiting:
            stack.extend(reversed(waiting))
        else:
            stack.pop()
            if all(id(other) in done for other in needed):
                done.setdefault(id(node), node)
    return tuple(done.values())


def list_behind(graph: GraphProto, sources: Collection[str]) -> set[str]:
    """List tensors and all that is computed from them."""
    behind = {*sources}
    for node in graph.node:
        behind |= {*node.output} if behind & {*node.input} else set()
    return behind


def list_read(node: NodeProto) -> Iterator[str]:
    """List a node's inputs, and what its branches or loop body read from outside."""
    yield from node.input
    for graph in list_subgraphs(node):
        inside = {value.name for value in graph.input} | {value.name for value in graph.initializer}
        inside.update(name for inner in graph.node for name in inner.output)
        read = [name for inner in graph.node for name in list_read(inner)]
        read += [output.name for output in graph.output]
        yield from (name for name in read if name not in inside)


def sort_nodes(graph: GraphProto) -> Sequence[NodeProto]:
    """Sort the nodes as ONNX demands; if some are on a cycle, leave them as they are."""
    names = [name for node in graph.node for name in node.output]
    nodes = list_ancestors(graph, names)
    return nodes if len(nodes) == len(graph.node) else graph.node


def with_output(proto: ModelProto, name: str) -> ModelProto:
    """Return the model, or a copy with an inner tensor as a further output."""
    if any(value.name == name for value in proto.graph.output):
        return proto
    exposed = copy_model(proto)
    exposed.graph.output.add().name = name
    return exposed


def expose_tensors(proto: ModelProto, *names: str) -> ModelProto:
    """Return a copy of the model whose only outputs are the named tensors."""
    exposed = copy_model(proto)
    nodes = list_ancestors(proto.graph, names)
    del exposed.graph.node[:]
    exposed.graph.node.extend(nodes)
    del exposed.graph.output[:]
    for name in names:
        exposed.graph.output.add().name = name
    return exposed
