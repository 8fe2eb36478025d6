"""Padding rules shared by convolution and pooling."""

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.lowering.node import Node


def read_symmetric_padding(node: Node, rank: int) -> tuple[int, ...] | None:
    """Padding for each spatial axis where both ends are equal, else None (see `read_pads`)."""
    pads = read_pads(node, rank)
    begins, ends = pads[:rank], pads[rank:]
    return begins if begins == ends else None


def read_pads(node: Node, rank: int) -> tuple[int, ...]:
    """Explicit padding, all begins then all ends."""
    mode = node.get("auto_pad", "NOTSET")
    if mode not in {"NOTSET", "VALID"}:
        message = f"{node.name}: auto_pad={mode} is not supported yet"
        raise UnsupportedModelError(message, remedy="Export the model with explicit padding.")
    return tuple(node.get("pads", [0] * (2 * rank)))


def to_torch_pad(pads: tuple[int, ...]) -> list[int]:
    """ONNX order (begins, ends, first axis first) to torch's (pairs, last axis first)."""
    rank = len(pads) // 2
    return [pads[end] for axis in reversed(range(rank)) for end in (axis, axis + rank)]
