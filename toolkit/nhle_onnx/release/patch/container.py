"""A patch file: safetensors with the manifest in the header and the streams as tensors."""

import io
import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import zstandard
from pydantic import ValidationError
from safetensors.numpy import save

from nhle_onnx.errors import InputRefusedError, first_line, refuse_unreadable
from nhle_onnx.graph.regular_files import open_regular
from nhle_onnx.graph.strict_json import parse_json
from nhle_onnx.values.patch import SCHEMA, Manifest

_LENGTH = struct.Struct("<Q")
_ALIGNMENT = 8  # of the tensors, as safetensors pads its header
_MAX_HEADER_BYTES = 2**23  # takes 200 MiB while being parsed
_SMALL_BYTES = 2**26  # above that, the best compression takes minutes
_STREAMS = frozenset(
    {"insert", "sum.0", "sum.1"}
    | {f"delta{width}.{index}" for width in (1, 2, 4) for index in range(width)}
)
_AGAIN = "Fetch the patch again, and compare its digest."


class Span(NamedTuple):
    """Where a compressed stream lies in the file."""

    start: int
    end: int


class Container(NamedTuple):
    """An opened patch: its manifest, and the places of its streams.

    With `content`, the file is not read again: it is what was checked.
    """

    path: Path
    manifest: Manifest
    streams: Mapping[str, Span]
    size_bytes: int
    content: bytes | None = None

    def open(self) -> BinaryIO:
        """Open the patch's bytes. Raises OSError."""
        return open_regular(self.path) if self.content is None else io.BytesIO(self.content)


def pack(manifest: Manifest, streams: Mapping[str, bytes]) -> bytes:
    """Return the patch's bytes."""
    best = 19 if sum(map(len, streams.values())) <= _SMALL_BYTES else 9
    tensors = {
        name: np.frombuffer(_compress(stream, best), np.uint8) for name, stream in streams.items()
    }
    document = json.dumps(manifest.model_dump(mode="json", by_alias=True), separators=(",", ":"))
    return _sort_metadata(save(tensors, {"format": SCHEMA, "manifest": document}))


def _compress(stream: bytes, best: int) -> bytes:
    """Compress at the lowest and the best level, and take the smaller result: in the noise of
    training steps, searching for repetitions costs bytes.
    """
    made = (zstandard.ZstdCompressor(level=level).compress(stream) for level in (1, best))
    return min(made, key=len)


def _sort_metadata(content: bytes) -> bytes:
    """Sort a file's metadata, which safetensors writes in random order."""
    (length,) = _LENGTH.unpack_from(content)
    start = _LENGTH.size + length
    header = json.loads(content[_LENGTH.size : start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return _LENGTH.pack(len(text)) + text + content[start:]


def open_patch(path: Path, content: bytes | None = None) -> Container:
    """Read a patch's header, from its `content` where that was read before. Raises
    InputRefusedError if it is invalid, or of a newer format.
    """
    try:
        with open_regular(path) if content is None else io.BytesIO(content) as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            header, start = _read_header(stream.read(_LENGTH.size), stream.read, path)
    except OSError as error:
        raise refuse_unreadable(path, error, "Check the path of the patch.") from error
    metadata = header.pop("__metadata__", None)
    stated = metadata.get("format") if isinstance(metadata, dict) else None
    if not isinstance(stated, str) or not stated.startswith("nhle-onnx/patch/"):
        raise _refuse(path, "is not a patch of nhle-onnx")
    if stated != SCHEMA:
        message = f"{path} is a patch of the format {stated}, which this version does not know"
        raise InputRefusedError(message, remedy="Update nhle-onnx.")
    try:
        parse_json(metadata["manifest"])  # pydantic would take the last of a repeated key
        manifest = Manifest.model_validate_json(metadata["manifest"])
        spans = {name: _read_span(name, entry, start) for name, entry in header.items()}
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise _refuse(path, f"has a damaged header: {_describe(error)}") from error
    if any(not start <= span.start <= span.end <= size for span in spans.values()):
        raise _refuse(path, "is truncated")
    return Container(path, manifest, spans, size, content)


def _read_header(
    length: bytes, read: Callable[[int], bytes], path: Path
) -> tuple[dict[str, Any], int]:
    if len(length) < _LENGTH.size:
        raise _refuse(path, "is truncated")
    (size,) = _LENGTH.unpack(length)
    if size > _MAX_HEADER_BYTES:
        raise _refuse(path, f"is not a patch of nhle-onnx: its header would have {size:,} bytes")
    content = read(size)
    if len(content) < size:
        raise _refuse(path, "is truncated")
    try:
        header = parse_json(content)
    except ValueError as error:
        raise _refuse(path, f"is not a patch of nhle-onnx: {error}") from error
    if not isinstance(header, dict):
        raise _refuse(path, "is not a patch of nhle-onnx")
    return header, _LENGTH.size + size


def _read_span(name: str, entry: Mapping[str, Any], start: int) -> Span:
    """Read where a stream lies. Raises ValueError, KeyError or TypeError for an invalid entry."""
    first, last = entry["data_offsets"]
    if name not in _STREAMS or not isinstance(first, int) or not isinstance(last, int):
        raise ValueError(f"{name} is not a stream of a patch")
    return Span(start + first, start + last)


def _describe(error: Exception) -> str:
    """Describe the first fault."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return ": ".join([".".join(map(str, first["loc"])), first["msg"]])
    return first_line(error)


def _refuse(path: Path, what: str) -> InputRefusedError:
    return InputRefusedError(f"{path} {what}", remedy=_AGAIN)
