"""Patches made by hand: their headers and streams hold what no tool of ours writes."""

import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from onnx import ModelProto

from support.hostile.case import MODEL, Build, write

PATCH = "p.nhlepatch"
SCHEMA = "nhle-onnx/patch/v1"

Document = dict[str, Any]


def describe(content: bytes) -> Document:
    """A patch that changes nothing."""
    digest = hashlib.sha256(content).hexdigest()
    file = {"name": MODEL, "sha256": digest, "size_bytes": len(content)}
    made = file | {"name": "edited.onnx", "pieces": [["copy", len(content), 0, 0]]}
    return {"schema": SCHEMA, "tool": {}, "base": [file], "result": [made], "tensors": []}


def pack(manifest: str, streams: Mapping[str, bytes] | None = None) -> bytes:
    """A patch of a manifest, whatever it says, and streams."""
    body = b""
    header: Document = {"__metadata__": {"format": SCHEMA, "manifest": manifest}}
    for name, content in (streams or {}).items():
        span = [len(body), len(body) + len(content)]
        header[name] = {"dtype": "U8", "shape": [len(content)], "data_offsets": span}
        body += content
    return frame(json.dumps(header).encode(), body)


def frame(header: bytes, body: bytes = b"") -> bytes:
    """A safetensors file of a header, whatever it is."""
    return struct.pack("<Q", len(header)) + header + body


def change_manifest(
    edit: Callable[[Document], object], streams: Mapping[str, bytes] | None = None
) -> Build:
    """A manifest with something else in it."""

    def build(folder: Path, model: ModelProto) -> None:
        write(folder, model)
        document = describe((folder / MODEL).read_bytes())
        edit(document)
        (folder / PATCH).write_bytes(pack(json.dumps(document), streams))

    return build


def write_patch(make: Callable[[Document], bytes]) -> Build:
    """Bytes that are no good patch."""

    def build(folder: Path, model: ModelProto) -> None:
        write(folder, model)
        document = describe((folder / MODEL).read_bytes())
        (folder / PATCH).write_bytes(make(document))

    return build
