"""Nodes of tools whose output cannot be trained, recognised by their operators."""

from collections.abc import Iterable
from typing import Protocol

_ML, _NCHWC, _MICROSOFT = "ai.onnx.ml", "com.microsoft.nchwc", "com.microsoft"
_PACKED = frozenset({"GatherBlockQuantized", "MatMulBnb4", "MatMulFpQ4", "MatMulNBits", "QMoE"})
_REMEDIES = {
    _ML: "A scikit-learn pipeline has no network to train: refit it without the class.",
    _NCHWC: (
        "Give the model from before ONNX Runtime laid it out for one processor (its optimization "
        "level 'all'), or optimize it up to the level 'extended'."
    ),
    _MICROSOFT: "This graph was fused by ONNX Runtime: give the model as it was before.",
}
_BEFORE_PACKING = "Its weights were packed by a quantizer: give the model as it was before."


class HasOperator(Protocol):
    """A node, or a record of one."""

    @property
    def op_type(self) -> str:
        """The operator."""

    @property
    def domain(self) -> str:
        """Its domain; empty for ONNX's own."""


def find_remedy(nodes: Iterable[HasOperator], default: str) -> str:
    """Return what to do about unsupported nodes: advice on the tool that wrote them, if it is
    known, otherwise `default`.
    """
    found = (_advise(node) for node in nodes)
    return next(filter(None, found), default)


def _advise(node: HasOperator) -> str | None:
    if node.domain == _MICROSOFT and node.op_type in _PACKED:
        return _BEFORE_PACKING
    return _REMEDIES.get(node.domain)
