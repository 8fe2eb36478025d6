"""Copies of models."""

from onnx import ModelProto


def copy_model(proto: ModelProto) -> ModelProto:
    """Return a copy, so that changes to it leave the original as it is."""
    copied = ModelProto()
    copied.CopyFrom(proto)
    return copied
