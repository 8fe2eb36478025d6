"""The package's own files for a kit: ONNX Runtime Web, and the runners."""

import json
import lzma
from importlib.resources import files
from typing import Any

_RUNNERS = files("nhle_onnx.release.kit") / "runners"
_WEB = files("nhle_onnx.release.kit") / "web"


def read_runner(name: str) -> str:
    """Read one of the runners, before a kit's values are filled in."""
    return (_RUNNERS / name).read_text("utf-8")


def read_web_file(name: str) -> bytes:
    """Read one of the files that the manifest names, unpacked."""
    return lzma.decompress((_WEB / f"{name}.xz").read_bytes())


def read_manifest() -> dict[str, Any]:
    """Read the version, and the digest of each file."""
    manifest: dict[str, Any] = json.loads((_WEB / "manifest.json").read_text("utf-8"))
    return manifest
