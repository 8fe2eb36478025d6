"""Unmasking: the original head put back on the edited network (METHOD §4)."""

from onnx import ModelProto

from nhle_onnx.graph.head_values import read_head, write_head
from nhle_onnx.values.model import ClassifierHead


def restore_head(
    edited: ModelProto,
    edited_head: ClassifierHead,
    original: ModelProto,
    original_head: ClassifierHead,
) -> ModelProto:
    """A copy of the edited model with the original's head weight and bias.

    What it then still recognises of a forgotten class was left in the features.
    """
    restored = ModelProto()
    restored.CopyFrom(edited)
    write_head(restored, edited_head, *read_head(original, original_head))
    return restored
