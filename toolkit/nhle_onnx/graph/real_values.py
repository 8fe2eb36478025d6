"""A head's features and scores as real numbers, where a quantized graph has whole ones."""

from dataclasses import replace

from onnx import ModelProto, helper

from nhle_onnx.values.model import ClassifierHead, Grid


def with_real_values(proto: ModelProto, head: ClassifierHead) -> tuple[ModelProto, ClassifierHead]:
    """A copy that has both as real numbers, and the head with their names there."""
    if head.feature_grid is None and head.score_grid is None:
        return proto, head
    widened = ModelProto()
    widened.CopyFrom(proto)
    features = _append_reals(widened, head.features, head.feature_grid)
    scores = _append_reals(widened, head.scores, head.score_grid)
    return widened, replace(
        head, features=features, scores=scores, feature_grid=None, score_grid=None
    )


def _append_reals(proto: ModelProto, name: str, grid: Grid | None) -> str:
    if grid is None:
        return name
    inputs = [name, *grid.scales, *([grid.zero_point] if grid.zero_point else [])]
    real = f"{name}.real"
    proto.graph.node.append(
        helper.make_node("DequantizeLinear", inputs, [real], name=real, axis=grid.axis)
    )
    return real
