"""What the package carries for a kit: ONNX Runtime Web, and our own runners."""

import json
import lzma
from importlib.resources import files
from typing import Any

_RUNNERS = files("nhle_onnx.release.kit") / "runners"
_WEB = files("nhle_onnx.release.kit") / "web"


def read_runner(name: str) -> str:
    """One of the files that run on a device, before it is made a kit's own."""
    return (_RUNNERS / name).read_text("utf-8")


def read_web_file(name: str) -> bytes:
    """One of the files that the manifest names, unpacked."""
    return lzma.decompress((_WEB / f"{name}.xz").read_bytes())


def read_manifest() -> dict[str, Any]:
    """Version, and the digest of each file."""
    manifest: dict[str, Any] = json.loads((_WEB / "manifest.json").read_text("utf-8"))
    return manifest
