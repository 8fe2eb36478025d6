"""Graphs that cannot be computed, or whose names say two things."""

from pathlib import Path

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, helper

from support.hostile.case import INSPECT, MASK, MODEL, Attempt, Build, HostileFile, change, refuse

_HIGH_BIT = 0x80  # of a byte that another follows
_DOMAIN = "hostile"


@change
def _cross(model: ModelProto) -> None:
    model.graph.node[0].input[0] = model.graph.node[1].output[0]


@change
def _repeat(model: ModelProto, kind: str) -> None:
    graph = model.graph
    if kind == "result":
        graph.node.append(graph.node[0])
    else:
        parts = getattr(graph, kind)
        parts.append(parts[0])


@change
def _clear(model: ModelProto, field: str) -> None:
    model.graph.ClearField(field)


def _nest(depth: int) -> Build:
    """Graphs in graphs, as bytes: protobuf does not write what it would not read."""

    def build(folder: Path, model: ModelProto) -> None:
        content = b""
        for _ in range(depth):
            branch = AttributeProto(name="then_branch", type=AttributeProto.GRAPH)
            node = NodeProto(op_type="If", input=["c"], output=["x"]).SerializeToString()
            graph = _frame(AttributeProto.G_FIELD_NUMBER, content)
            attribute = _frame(NodeProto.ATTRIBUTE_FIELD_NUMBER, branch.SerializeToString() + graph)
            content = _frame(GraphProto.NODE_FIELD_NUMBER, node + attribute)
        more = _frame(ModelProto.GRAPH_FIELD_NUMBER, content)  # is merged with the first graph
        (folder / MODEL).write_bytes(model.SerializeToString() + more)

    return build


def _frame(number: int, content: bytes) -> bytes:
    """A field of bytes, in protobuf's encoding."""
    key, size = number << 3 | 2, len(content)
    varint = bytearray()
    while size >= _HIGH_BIT:
        varint.append(size % _HIGH_BIT + _HIGH_BIT)
        size >>= 7
    return bytes([key, *varint, size]) + content


@change
def _set_opset(model: ModelProto, version: int, domain: str = "") -> None:
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid(domain, version))


@change
def _set_ir(model: ModelProto, version: int) -> None:
    model.ir_version = version


@change
def _multiply(model: ModelProto) -> None:
    model.graph.node.extend([NodeProto(op_type="Relu")] * 200_000)


@change
def _use_unknown_operator(model: ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    model.graph.node[1].domain, model.graph.node[1].op_type = _DOMAIN, "Run"


@change
def _drop_outputs(model: ModelProto) -> None:
    del model.graph.node[0].output[:]


@change
def _drop_inputs(model: ModelProto) -> None:
    del model.graph.node[-1].input[:]


@change
def _refer(model: ModelProto) -> None:
    model.graph.node[0].attribute[0].ref_attr_name = "alpha"


CASES: tuple[HostileFile, ...] = (
    refuse("cycle", "never ends", _cross(), "from its own result"),
    refuse("repeated result", "shows one, uses the other", _repeat("result"), "of the name"),
    refuse("repeated weight", "shows one, edits the other", _repeat("initializer"), "of the name"),
    refuse("repeated input", "shows one, feeds the other", _repeat("input"), "of the name"),
    refuse("repeated output", "shows one, reads the other", _repeat("output"), "of the name"),
    refuse("no output", "has nothing to show", _clear("output"), "has no output"),
    refuse("no input", "has nothing to feed", _clear("input"), "has no input"),
    refuse("no nodes", "is not a graph", _clear("node"), "it has no graph"),
    refuse("node without outputs", "is looked up", _drop_outputs(), "model.onnx"),
    refuse("node without inputs", "is looked up", _drop_inputs(), "model.onnx"),
    refuse("graphs 500 deep", "overflows the stack", _nest(500), "model.onnx", is_dangerous=True),
    refuse("graphs 20 deep", "overflows the stack", _nest(20), "model.onnx"),
    refuse("attribute of no function", "means what nobody says", _refer(), "outside of"),
    refuse("200,000 nodes", "takes long", _multiply(), "nodes"),
    HostileFile(
        name="far opset",
        tries="means what nobody knows yet",
        build=_set_opset(999),
        attempts=tuple(Attempt(command=each, codes=(4,), says="999") for each in (INSPECT, MASK)),
    ),
    refuse("negative opset", "is not known", _set_opset(-1), "model.onnx"),
    refuse("no default opset", "is not known", _set_opset(1, _DOMAIN), "model.onnx"),
    refuse("far IR version", "is not known", _set_ir(2**31), "model.onnx"),
    refuse("no IR version", "is not known", _set_ir(0), "model.onnx"),
    HostileFile(
        name="unknown operator",
        tries="runs code that is not there",
        build=_use_unknown_operator(),
        attempts=(Attempt(command=INSPECT, codes=(0,), says="hostile.Run"),),
    ),
)
