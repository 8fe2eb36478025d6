"""What a report says of any model's file."""

from typing import Any

from nhle_onnx.values.model import OnnxModel


def list_file_facts(model: OnnxModel) -> dict[str, Any]:
    """List what every summary of a file begins with."""
    return {
        "path": str(model.path),
        "sha256": model.sha256,
        "size_bytes": model.size_bytes,
        "sidecars": dict(model.sidecars),
    }
