"""Model files in: read once, refused clearly when they are not what they claim to be."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto

from nhle_onnx.errors import InputRefusedError, UnsupportedModelError
from nhle_onnx.graph.external import list_places, load_inline
from nhle_onnx.graph.slicing import sort_nodes
from nhle_onnx.graph.tensors import MAX_PROTO_BYTES, measure_bytes
from nhle_onnx.values.model import OnnxModel, Place

_MAX_BYTES = 2**31 - 1  # protobuf's own limit
_REMEDY = "Export the model again, or copy the file anew and compare its digest."
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
    places = list_places(proto)
    if places:
        proto = load_inline(resolved)
    _check(path, resolved, proto)
    sidecars = _digest_sidecars(resolved.parent, places)
    return OnnxModel(
        path=path,
        proto=proto,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content) + sum(size for size, _ in sidecars.values()),
        places=places,
        sidecars={name: digest for name, (_, digest) in sidecars.items()},
    )


def _digest_sidecars(folder: Path, places: Mapping[str, Place]) -> dict[str, tuple[int, str]]:
    """Size and digest of each file that holds weights."""
    contents = {
        location: (folder / location).read_bytes()
        for location in dict.fromkeys(place.location for place in places.values())
    }
    return {
        location: (len(content), hashlib.sha256(content).hexdigest())
        for location, content in contents.items()
    }


def _read(path: Path) -> tuple[Path, bytes]:
    try:
        resolved = path.resolve(strict=True)
        if resolved.stat().st_size > _MAX_BYTES:
            message = f"{path} is larger than 2 GiB, which no ONNX file can be"
            raise InputRefusedError(message, remedy="Larger models keep weights in a sidecar file.")
        return resolved, resolved.read_bytes()
    except FileNotFoundError as error:
        message = f"{path} does not exist"
        raise InputRefusedError(message, remedy="Check the path of the model.") from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise InputRefusedError(message, remedy="Give the path of a readable file.") from error


def _parse(path: Path, content: bytes) -> ModelProto:
    proto = ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError as error:
        message = f"{path} is not an ONNX model, or is truncated: it cannot be parsed"
        raise InputRefusedError(message, remedy=_REMEDY) from error
    if not proto.graph.node or not proto.opset_import:
        message = f"{path} is not an ONNX model: it has no graph"
        raise InputRefusedError(message, remedy=_REMEDY)
    return proto


def _check(path: Path, resolved: Path, proto: ModelProto) -> None:
    is_large = measure_bytes(proto) > MAX_PROTO_BYTES  # which only the file's path can be checked
    try:
        onnx.checker.check_model(str(resolved) if is_large else sort_nodes(proto))
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().splitlines()[0]
        message = f"{path} is not a valid ONNX model: {reason}"
        raise InputRefusedError(message, remedy=_REMEDY) from error
