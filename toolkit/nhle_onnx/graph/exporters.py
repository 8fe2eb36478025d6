"""Graphs from tools whose output cannot be trained, recognised by their operators."""

from onnx import ModelProto

_REMEDIES = {
    "ai.onnx.ml": "A scikit-learn pipeline has no network to train: refit it without the class.",
    "com.microsoft.nchwc": "This graph was optimised by ONNX Runtime: give the model before that.",
    "com.microsoft": "This graph was fused by ONNX Runtime: give the model before that.",
}


def find_remedy(proto: ModelProto, default: str) -> str:
    """Return what to do about a graph made by a tool whose operators cannot be trained."""
    domains = {node.domain for node in proto.graph.node}
    return next((remedy for domain, remedy in _REMEDIES.items() if domain in domains), default)
