"""What a model's own metadata says: entries of text by key."""

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto


def list_metadata(proto: ModelProto) -> dict[str, str]:
    """Return the entries of a loaded model."""
    return {entry.key: entry.value for entry in proto.metadata_props}


def read_metadata(path: Path) -> dict[str, str]:
    """Return the entries of a model's file. A file that cannot be read has none: what is wrong with
    it is said when it is opened.
    """
    try:
        return list_metadata(onnx.load(path, load_external_data=False))
    except (OSError, DecodeError):
        return {}
