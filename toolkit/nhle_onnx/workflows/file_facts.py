"""What a report says of any file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.summary import FileSummary


def list_file_facts(model: OnnxModel) -> dict[str, Any]:
    """List what every summary of a file begins with."""
    return {
        "path": str(model.path),
        "sha256": model.sha256,
        "size_bytes": model.size_bytes,
        "sidecars": dict(model.sidecars),
    }


def summarize_contents(path: Path, files: Mapping[Path, bytes]) -> FileSummary:
    """Describe a file at `path` that was just made, with its sidecars, by their contents."""
    digests = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    return FileSummary(
        path=str(path),
        sha256=digests[path],
        size_bytes=sum(map(len, files.values())),
        sidecars={file.name: digest for file, digest in digests.items() if file != path},
    )
