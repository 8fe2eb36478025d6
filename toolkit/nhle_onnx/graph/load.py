"""Model files in: read once, refused clearly when they are not what they claim to be."""

import hashlib
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto

from nhle_onnx.errors import InputRefusedError, UnsupportedModelError
from nhle_onnx.values.model import OnnxModel

_MAX_BYTES = 2**31 - 1  # protobuf's own limit
_ORT_FORMAT = b"ORTM"


def load_model(path: Path) -> OnnxModel:
    """Read and check one ONNX file.

    Raises InputRefusedError for a file that is missing, unreadable or no valid ONNX, and
    UnsupportedModelError for a format that cannot be edited.
    """
    resolved, content = _read(path)
    if content[4:8] == _ORT_FORMAT:
        message = f"{path} is in ONNX Runtime's own .ort format, which cannot be trained"
        raise UnsupportedModelError(message, remedy="Give the .onnx file that it was made from.")
    proto = _parse(path, content)
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in proto.graph.initializer):
        message = f"{path} keeps its weights in a separate file, which is not supported yet"
        raise UnsupportedModelError(
            message, remedy="Save it as one file: onnx.save(onnx.load(path), new_path)."
        )
    return OnnxModel(
        path=resolved,
        proto=proto,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
    )


def _read(path: Path) -> tuple[Path, bytes]:
    try:
        resolved = path.resolve(strict=True)
        if resolved.stat().st_size > _MAX_BYTES:
            message = f"{path} is larger than 2 GiB, which is not supported yet"
            raise UnsupportedModelError(message)
        return resolved, resolved.read_bytes()
    except FileNotFoundError as error:
        message = f"{path} does not exist"
        raise InputRefusedError(message, remedy="Check the path of the model.") from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise InputRefusedError(message, remedy="Give the path of a readable file.") from error


def _parse(path: Path, content: bytes) -> ModelProto:
    remedy = "Export the model again, or copy the file anew and compare its digest."
    proto = ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError as error:
        message = f"{path} is not an ONNX model, or is truncated: it cannot be parsed"
        raise InputRefusedError(message, remedy=remedy) from error
    if not proto.graph.node or not proto.opset_import:
        message = f"{path} is not an ONNX model: it has no graph"
        raise InputRefusedError(message, remedy=remedy)
    try:
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().splitlines()[0]
        message = f"{path} is not a valid ONNX model: {reason}"
        raise InputRefusedError(message, remedy=remedy) from error
    return proto
