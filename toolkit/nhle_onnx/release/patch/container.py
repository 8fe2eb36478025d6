"""A patch as a file: safetensors, whose header holds the manifest and whose tensors the streams."""

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zstandard
from pydantic import ValidationError
from safetensors.numpy import save

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.patch import SCHEMA, Manifest

_LENGTH = struct.Struct("<Q")
_MAX_HEADER_BYTES = 2**26
_SMALL_BYTES = 2**26  # beyond, the best compression takes minutes
_AGAIN = "Fetch the patch anew, and compare its digest."


class Span(NamedTuple):
    """Where a compressed stream lies in the file."""

    start: int
    end: int


class Container(NamedTuple):
    """An opened patch: what it says, and where its streams are."""

    path: Path
    manifest: Manifest
    streams: Mapping[str, Span]
    size_bytes: int


def pack(manifest: Manifest, streams: Mapping[str, bytes]) -> bytes:
    """The patch's bytes."""
    level = 19 if sum(map(len, streams.values())) <= _SMALL_BYTES else 9
    compressor = zstandard.ZstdCompressor(level=level)
    tensors = {
        name: np.frombuffer(compressor.compress(stream), np.uint8)
        for name, stream in streams.items()
    }
    document = json.dumps(manifest.model_dump(mode="json", by_alias=True), separators=(",", ":"))
    return save(tensors, {"format": SCHEMA, "manifest": document})


def open_patch(path: Path) -> Container:
    """Read a patch's header. Raises InputRefusedError for what is none, or of a newer format."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            header, start = _read_header(stream.read(_LENGTH.size), stream.read, path)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise InputRefusedError(message, remedy="Check the path of the patch.") from error
    metadata = header.pop("__metadata__", None)
    stated = metadata.get("format") if isinstance(metadata, dict) else None
    if not isinstance(stated, str) or not stated.startswith("nhle-onnx/patch/"):
        raise _refuse(path, "is not a patch of nhle-onnx")
    if stated != SCHEMA:
        message = f"{path} is a patch of the format {stated}, which this version does not know"
        raise InputRefusedError(message, remedy="Update nhle-onnx.")
    try:
        manifest = Manifest.model_validate_json(metadata["manifest"])
        spans = {
            name: Span(*(start + int(offset) for offset in entry["data_offsets"]))
            for name, entry in header.items()
        }
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise _refuse(path, f"has a damaged header: {reason}") from error
    if any(not start <= span.start <= span.end <= size for span in spans.values()):
        raise _refuse(path, "is truncated")
    return Container(path, manifest, spans, size)


def _read_header(
    length: bytes, read: Callable[[int], bytes], path: Path
) -> tuple[dict[str, Any], int]:
    if len(length) < _LENGTH.size:
        raise _refuse(path, "is truncated")
    (size,) = _LENGTH.unpack(length)
    if size > _MAX_HEADER_BYTES:
        raise _refuse(path, "is not a patch of nhle-onnx")
    content = read(size)
    if len(content) < size:
        raise _refuse(path, "is truncated")
    try:
        header = json.loads(content)
    except ValueError as error:
        raise _refuse(path, "is not a patch of nhle-onnx") from error
    if not isinstance(header, dict):
        raise _refuse(path, "is not a patch of nhle-onnx")
    return header, _LENGTH.size + size


def _refuse(path: Path, what: str) -> InputRefusedError:
    return InputRefusedError(f"{path} {what}", remedy=_AGAIN)
