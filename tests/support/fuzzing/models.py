"""Models changed in a few places."""

from collections.abc import Sequence
from random import Random

from google.protobuf.message import DecodeError
from onnx import ModelProto

from nhle_onnx.graph.validation import list_faults
from nhle_onnx.values.limits import MAX_ELEMENTS
from support.fuzzing import fields, nodes, octets, tensors, texts
from support.fuzzing.draw import Edit, toss

FAMILIES: tuple[tuple[Edit, ...], ...] = (fields.EDITS, nodes.EDITS, tensors.EDITS, texts.EDITS)
_RAW = 0.2  # whose bytes are changed, most of which no parser takes
_MAX_BYTES = 2**25  # parts that are put into each other grow


def make_model(content: bytes, donors: Sequence[bytes], chance: Random) -> bytes:
    """A good model after some edits of its structure, of its bytes, or of both. Parts of `donors`,
    other good models, are put into it.
    """
    is_raw = toss(chance, _RAW)
    if not is_raw or toss(chance):
        content = change_structure(content, donors, chance)
    for _ in range(chance.choice((1, 1, 2, 4)) if is_raw else 0):
        content = chance.choice(octets.EDITS)(content, chance)
    return content


def change_structure(content: bytes, donors: Sequence[bytes], chance: Random) -> bytes:
    """A few edits of any family."""
    model = ModelProto.FromString(content)
    for _ in range(chance.choice((1, 1, 1, 1, 2, 4))):
        chance.choice(chance.choice(FAMILIES))(model, chance)
        if model.ByteSize() > _MAX_BYTES:
            break
    if toss(chance, 0.05):
        splice(model, ModelProto.FromString(chance.choice(donors)), chance)
    return model.SerializeToString()


def is_well_formed(content: bytes) -> bool:
    """Whether our own checks find nothing; no native code sees the model here."""
    try:
        model = ModelProto.FromString(content)
    except DecodeError:
        return False
    return bool(model.graph.node) and next(list_faults(model, MAX_ELEMENTS), None) is None


def splice(model: ModelProto, donor: ModelProto, chance: Random) -> None:
    """A run of nodes of another model, with its weights."""
    graph, other = model.graph, donor.graph
    first = chance.randrange(len(other.node))
    taken = other.node[first : first + chance.choice((1, 2, 5))]
    needed = {name for node in taken for name in node.input}
    if taken[0].input and graph.node and graph.node[0].input:
        taken[0].input[0] = chance.choice(chance.choice(graph.node).input or [""])
    graph.node.extend(taken)
    graph.initializer.extend(tensor for tensor in other.initializer if tensor.name in needed)
    if graph.output and taken[-1].output:
        graph.output[0].name = taken[-1].output[0]
