"""Graphs that cannot be computed, or whose names are used twice."""

from collections import Counter
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from onnx import GraphProto, NodeProto

from nhle_onnx.graph.traversal import list_graphs


def list_graph_faults(graph: GraphProto) -> Iterator[str]:
    """Yield what is wrong with one graph, without the graphs inside its nodes."""
    initializers = [tensor.name for tensor in graph.initializer]
    initializers += [tensor.values.name for tensor in graph.sparse_initializer]
    inputs = [value.name for value in graph.input]
    produced = [name for node in graph.node for name in node.output if name]
    outputs = [value.name for value in graph.output]
    yield from _list_repeated("initializers", initializers)
    yield from _list_repeated("inputs", inputs)
    yield from _list_repeated("outputs", outputs)
    yield from _list_repeated("results", [*produced, *{*inputs, *initializers}])
    yield from _find_cycle(graph)


def list_main_faults(graph: GraphProto) -> Iterator[str]:
    """Yield what is wrong with the model's main graph, besides what `list_graph_faults` finds."""
    if not graph.output:
        yield "has no output"
    elif not graph.input:
        yield "has no input"
    nodes = (node for part in list_graphs(graph) for node in part.node)
    for each in (attribute for node in nodes for attribute in node.attribute):
        if each.ref_attr_name:  # it stands for an argument of a function's call
            yield f"has the attribute {each.name}, a function's argument, outside of any function"


def _list_repeated(what: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"has {count} {what} of the name {name}"


def _find_cycle(graph: GraphProto) -> Iterator[str]:
    producers = {name: index for index, node in enumerate(graph.node) for name in node.output}
    needs = {
        index: {producers[name] for name in node.input if name and name in producers}
        for index, node in enumerate(graph.node)
    }
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        yield f"computes {_name(graph.node[error.args[1][0]])} from its own result"


def _name(node: NodeProto) -> str:
    return f"{node.op_type} {node.name or next(iter(node.output), '')}"
