"""patch apply and inspect: what a device runs. Imports neither torch nor onnx."""

from pathlib import Path
from typing import Any

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.save import check_writable
from nhle_onnx.release.patch.apply import apply_patch, check_base, digest_file, locate_result
from nhle_onnx.release.patch.container import Container, open_patch


def apply_patch_file(base: Path, patch: Path, out: Path, *, force: bool) -> Container:
    """Make the edited model of the base, next to its weights' files where it has any."""
    container = open_patch(patch)
    kept = {path.resolve() for path in (base, patch)}
    for path in locate_result(container, out).values():
        if path.resolve() in kept:
            message = f"{path} is read, and never changed in place"
            raise InputRefusedError(message, remedy="Give -o another path.")
        check_writable(path, force=force)
    check_base(container, base)
    apply_patch(container, base, out)
    return container


def describe_patch(container: Container) -> dict[str, Any]:
    """What `patch inspect` shows."""
    document: dict[str, Any] = container.manifest.model_dump(mode="json", by_alias=True)
    for file in document["result"]:
        pieces = file.pop("pieces")
        file["bytes"] = {
            kind: sum(piece[1] for piece in pieces if piece[0] == kind)
            for kind in ("copy", "delta", "insert")
        }
    return document | {
        "patch": {
            "path": str(container.path),
            "sha256": digest_file(container.path),
            "size_bytes": container.size_bytes,
        }
    }
