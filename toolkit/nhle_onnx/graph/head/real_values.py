"""A head's features and scores as real numbers, also in a quantized graph."""

from dataclasses import replace

from onnx import ModelProto, helper

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.values.model import ClassifierHead, QuantParams


def with_real_values(proto: ModelProto, head: ClassifierHead) -> tuple[ModelProto, ClassifierHead]:
    """Return a copy with real-valued features and scores, and the head with their names there."""
    if head.feature_quant_params is None and head.scores_quant_params is None:
        return proto, head
    widened = copy_model(proto)
    features = _append_reals(widened, head.features, head.feature_quant_params)
    scores = _append_reals(widened, head.scores, head.scores_quant_params)
    return widened, replace(
        head, features=features, scores=scores, feature_quant_params=None, scores_quant_params=None
    )


def _append_reals(proto: ModelProto, name: str, params: QuantParams | None) -> str:
    if params is None:
        return name
    inputs = [name, *params.scales, *([params.zero_point] if params.zero_point else [])]
    real = f"{name}.real"
    proto.graph.node.append(
        helper.make_node("DequantizeLinear", inputs, [real], name=real, axis=params.axis)
    )
    return real
