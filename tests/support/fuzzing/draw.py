"""What every edit draws from: parts of a model, and values at the ends of their ranges."""

from collections.abc import Callable
from random import Random
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from google.protobuf.message import Message
from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    numpy_helper,
)

from nhle_onnx.graph.traversal import walk_messages

Part = TypeVar("Part", bound=Message)
# changes a model in place; one that finds nothing to change leaves it
Edit = Callable[[ModelProto, Random], None]

INTEGERS = (
    0, 1, -1, 2, 3, 7, 64, 127, 255, 1024, 2**16, 2**24, 2**31 - 1, 2**31, 2**32, 2**40, 2**62,
    2**63 - 1, -(2**31), -(2**63),
)  # fmt: skip
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-38, 3.4e38, float("inf"), float("-inf"), float("nan"))
TEXTS = (
    "", " ", ".", "..", "../up", "/etc/passwd", "/dev/zero", "\\\\host\\x", "x\0y", "\n",
    "[red]x[/]", "\x1b[2J\x1b]0;owned\x07", "\u202eexe", "\ud7ff", "%s%n", "{0}", "a" * 300,
    "é" * 5000, "ai.onnx", "com.microsoft", "ai.onnx.ml",
)  # fmt: skip


def toss(chance: Random, share: float = 0.5) -> bool:
    """True in a share of all cases."""
    return chance.random() < share


def list_parts(model: Message, kind: type[Part]) -> list[Part]:
    """Every message of a kind, wherever it stands."""
    return [message for message, _ in walk_messages(model) if isinstance(message, kind)]


def draw_part(model: Message, chance: Random) -> Message:
    """Any message: first its kind, so that the many dimensions do not crowd out the one graph."""
    kinds: dict[str, list[Message]] = {}
    for message, _ in walk_messages(model):
        kinds.setdefault(message.DESCRIPTOR.name, []).append(message)
    return chance.choice(kinds[chance.choice(sorted(kinds))])


def draw_node(model: ModelProto, chance: Random) -> NodeProto:
    """Any node; one that stands nowhere if there is none."""
    return chance.choice(list_parts(model, NodeProto) or [NodeProto()])


def draw_graph(model: ModelProto, chance: Random) -> GraphProto:
    """The main graph most often, else one within a node."""
    return model.graph if toss(chance, 0.7) else chance.choice(list_parts(model, GraphProto))


def draw_tensor(model: ModelProto, chance: Random) -> TensorProto:
    """Any tensor; one that stands nowhere if there is none."""
    return chance.choice(list_parts(model, TensorProto) or [TensorProto()])


def read_numbers(tensor: TensorProto) -> npt.NDArray[np.generic] | None:
    """What a tensor holds itself; None for text, and where earlier edits have damaged it."""
    if tensor.data_location == TensorProto.EXTERNAL or tensor.data_type == TensorProto.STRING:
        return None
    try:
        return numpy_helper.to_array(tensor).copy()
    except (ValueError, TypeError):
        return None


def draw_attribute(model: ModelProto, chance: Random) -> AttributeProto:
    """Any attribute; one that stands nowhere if there is none."""
    return chance.choice(list_parts(model, AttributeProto) or [AttributeProto()])


def list_named(graph: GraphProto) -> list[TensorProto | ValueInfoProto]:
    """Everything in a graph but its nodes that has a value's name."""
    return [*graph.initializer, *graph.input, *graph.output, *graph.value_info]


def draw_name(model: ModelProto, chance: Random) -> str:
    """The name of any value of the main graph, or a bad one."""
    graph = model.graph
    names = [name for node in graph.node for name in (*node.input, *node.output)]
    names += [part.name for part in list_named(graph)]
    return chance.choice(names or [""]) if toss(chance, 0.9) else chance.choice(TEXTS)
