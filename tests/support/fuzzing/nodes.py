"""Edits of what a graph computes: edges, operators, graphs within nodes, functions."""

import copy
from functools import cache
from random import Random

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, defs, helper

from support.fuzzing.draw import (
    FLOATS,
    INTEGERS,
    TEXTS,
    Edit,
    draw_attribute,
    draw_graph,
    draw_name,
    draw_node,
    draw_tensor,
    toss,
)

_DOMAIN = "local"
_MANY = 150
_ATTRIBUTES = sorted(AttributeProto.AttributeType.keys())


def rewire(model: ModelProto, chance: Random) -> None:
    """Let a node read another value: an earlier one, a later one, its own, or none that exists."""
    node = draw_node(model, chance)
    name = draw_name(model, chance)
    if node.input:
        node.input[chance.randrange(len(node.input))] = name
    else:
        node.input.append(name)


def give_inputs(model: ModelProto, chance: Random) -> None:
    """More inputs than the operator takes."""
    node = draw_node(model, chance)
    node.input.extend([draw_name(model, chance)] * chance.choice((1, 2, 30)))


def give_result(model: ModelProto, chance: Random) -> None:
    """A result of a name that there is."""
    node = draw_node(model, chance)
    name = draw_name(model, chance)
    if node.output and toss(chance):
        node.output[chance.randrange(len(node.output))] = name
    else:
        node.output.append(name)


def bypass(model: ModelProto, chance: Random) -> None:
    """Take a node out, and let its readers read what it read."""
    graph = model.graph
    candidates = [index for index, node in enumerate(graph.node) if node.input and node.output]
    if not candidates:
        return
    index = chance.choice(candidates)
    gone = copy.deepcopy(graph.node[index])
    del graph.node[index]
    for node in graph.node:
        node.input[:] = [gone.input[0] if name == gone.output[0] else name for name in node.input]


def change_operator(model: ModelProto, chance: Random) -> None:
    """Another operator with the same inputs and attributes."""
    node = draw_node(model, chance)
    node.domain, node.op_type = chance.choice(_list_operators())


def insert_operator(model: ModelProto, chance: Random) -> None:
    """A node of any operator in the place of an edge."""
    reader = draw_node(model, chance)
    if not reader.input:
        return
    place = chance.randrange(len(reader.input))
    domain, kind = chance.choice(_list_operators())
    extra = [draw_name(model, chance) for _ in range(chance.choice((0, 0, 1, 2)))]
    name = f"inserted{chance.randrange(10**6)}"
    node = helper.make_node(kind, [reader.input[place], *extra], [name], domain=domain)
    for _ in range(chance.choice((0, 1, 2))):
        node.attribute.add().CopyFrom(draw_attribute(model, chance))
    reader.input[place] = name
    if domain and domain not in {entry.domain for entry in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    model.graph.node.insert(chance.randrange(len(model.graph.node) + 1), node)


def change_attribute(model: ModelProto, chance: Random) -> None:
    """Another value of the attribute's own type, or now and then of another."""
    attribute = draw_attribute(model, chance)
    if toss(chance, 0.1):
        attribute.MergeFrom(AttributeProto(type=chance.choice(_ATTRIBUTES)))
    kind = chance.randrange(1, 9) if toss(chance, 0.2) else attribute.type
    match kind:
        case AttributeProto.INT:
            attribute.i = chance.choice(INTEGERS)
        case AttributeProto.FLOAT:
            attribute.f = chance.choice(FLOATS)
        case AttributeProto.STRING:
            attribute.s = chance.choice(TEXTS).encode()
        case AttributeProto.TENSOR:
            attribute.t.CopyFrom(draw_tensor(model, chance))
        case AttributeProto.FLOATS:
            attribute.floats[:] = [chance.choice(FLOATS)] * chance.choice((0, 1, 4))
        case AttributeProto.INTS if attribute.ints and toss(chance, 0.7):
            attribute.ints[chance.randrange(len(attribute.ints))] = chance.choice(INTEGERS)
        case AttributeProto.INTS:
            count = chance.choice((0, 1, 2, 4, 5000))
            attribute.ints[:] = [chance.choice(INTEGERS) for _ in range(count)]


def add_attribute(model: ModelProto, chance: Random) -> None:
    """An attribute of another node."""
    node = draw_node(model, chance)
    copied = copy.deepcopy(draw_attribute(model, chance))  # first: the node may stand within it
    node.attribute.append(copied)


def branch(model: ModelProto, chance: Random) -> None:
    """Put a node, or the whole graph, into the branches or the body of another."""
    node = draw_node(model, chance)
    inner = copy.deepcopy(node)
    body = GraphProto(name="body", node=[inner])
    if toss(chance, 0.2):
        body.CopyFrom(draw_graph(model, chance))
    else:
        body.output.extend(helper.make_empty_tensor_value_info(name) for name in inner.output)
    kind, names = chance.choice(
        (("If", ("then_branch", "else_branch")), ("Loop", ("body",)), ("Scan", ("body",)))
    )
    node.op_type, node.domain = kind, ""
    node.input[:] = [draw_name(model, chance) for _ in range(chance.choice((0, 1, 2, 3)))]
    del node.attribute[:]
    for name in names:
        node.attribute.add(name=name, type=AttributeProto.GRAPH, g=body)


def call(model: ModelProto, chance: Random) -> None:
    """Put a node into a function of the model, which may call itself, or which others call."""
    node = draw_node(model, chance)
    inner = copy.deepcopy(node)
    name = chance.choice(("f", "g", "h"))
    function = FunctionProto(name=name, domain=_DOMAIN, input=inner.input, output=inner.output)
    function.opset_import.extend(model.opset_import)
    function.node.append(inner)
    if toss(chance, 0.3):
        called = chance.choice(("f", "g", "h"))
        function.node.append(NodeProto(op_type=called, domain=_DOMAIN, input=inner.input))
    model.functions.append(function)
    node.op_type, node.domain = name, _DOMAIN
    if _DOMAIN not in {entry.domain for entry in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))


def lengthen(model: ModelProto, chance: Random) -> None:
    """A long chain of one operator before a node."""
    reader = draw_node(model, chance)
    if not reader.input:
        return
    kind, name = chance.choice(("Identity", "Relu", "Neg", "Sqrt", "Softmax")), reader.input[0]
    for index in range(chance.choice((2, 20, _MANY))):
        result = f"chain{index}.{chance.randrange(10**6)}"
        model.graph.node.append(helper.make_node(kind, [name], [result]))
        name = result
    reader.input[0] = name


@cache
def _list_operators() -> tuple[tuple[str, str], ...]:
    named = {(schema.domain, schema.name) for schema in defs.get_all_schemas_with_history()}
    fused = ("QLinearAdd", "QGemm", "FusedConv", "Gelu", "MatMulNBits", "QLinearGlobalAveragePool")
    return (*sorted(named), *(("com.microsoft", name) for name in fused), ("", "Nothing"))


EDITS: tuple[Edit, ...] = (
    rewire, rewire, give_inputs, give_result, bypass, change_operator, change_operator,
    insert_operator, insert_operator, change_attribute, change_attribute, add_attribute, branch,
    call, lengthen,
)  # fmt: skip
