"""patch apply and inspect, which run on a device. Imports neither torch nor onnx."""

import hashlib
from pathlib import Path
from typing import Any

from nhle_onnx.errors import InputRefusedError, refuse_unreadable
from nhle_onnx.graph.regular_files import read_regular
from nhle_onnx.graph.save import check_writable
from nhle_onnx.hints import hint
from nhle_onnx.release.patch.apply import apply_patch, digest_file, locate_result
from nhle_onnx.release.patch.container import Container, open_patch
from nhle_onnx.values.settings.patch import ApplySettings

_MAX_BYTES = 2**31 - 1  # of a signed patch, which is held in memory


def apply_patch_file(settings: ApplySettings) -> Container:
    """Make the edited model from the base, with its sidecar files if it has any."""
    base, patch, out = settings.base, settings.patch, settings.out
    container = open_patch(
        patch, read_trusted(settings, settings.trusted) if settings.trusted else None
    )
    kept = {path.resolve() for path in (base, patch)}
    outputs = [*locate_result(container, out).values()]
    if len({path.resolve() for path in outputs}) < len(container.manifest.result):
        message = f"{patch} makes a file {out.name} beside the model"
        raise InputRefusedError(message, remedy=hint("Give {out} another name."))
    for path in (*outputs, *([settings.ort_path] if settings.ort_path else [])):
        if path.resolve() in kept:
            message = f"{path} is read, and never changed in place"
            raise InputRefusedError(message, remedy=hint("Give {out} another path."))
        check_writable(path, force=settings.force)
    apply_patch(container, base, out, force=settings.force)
    if settings.ort_path:
        # a device that does not need it need not import onnx and ONNX Runtime
        from nhle_onnx.workflows.patched_ort import write_ort  # noqa: PLC0415

        write_ort(out, settings.ort_path, force=settings.force)
    return container


def read_trusted(settings: ApplySettings, key: Path) -> bytes:
    """Read a patch once, and return its bytes if they were signed with the trusted key. Whatever
    another process does to the file afterwards, these are applied.
    """
    try:
        content = read_regular(settings.patch, _MAX_BYTES)
    except OSError as error:
        raise refuse_unreadable(settings.patch, error, "Check the path of the patch.") from error
    # the signing libraries are an extra, and slow to import
    from nhle_onnx.release.signature import check_signature  # noqa: PLC0415
    from nhle_onnx.values.signature import TrustedKey  # noqa: PLC0415

    signature = settings.signature or settings.patch.with_name(f"{settings.patch.name}.sig")
    trusted = TrustedKey(public_key=key)
    (signed,) = (
        file
        for file in check_signature([settings.patch], signature, trusted, is_whole=False)
        if file.name == settings.patch.name
    )
    if hashlib.sha256(content).hexdigest() != signed.sha256:
        message = f"{settings.patch} changed while it was read"
        raise InputRefusedError(message, remedy="Apply it again.")
    return content


def _digest(container: Container) -> str:
    if container.content is None:
        return digest_file(container.path)
    return hashlib.sha256(container.content).hexdigest()


def describe_patch(container: Container) -> dict[str, Any]:
    """Describe a patch, as `patch inspect` shows it."""
    document: dict[str, Any] = container.manifest.model_dump(mode="json", by_alias=True)
    for file in document["result"]:
        pieces = file.pop("pieces")
        file["bytes"] = {
            kind: sum(piece[1] for piece in pieces if piece[0] == kind)
            for kind in ("copy", "delta", "sum", "insert")
        }
    return document | {
        "patch": {
            "path": str(container.path),
            "sha256": _digest(container),
            "size_bytes": container.size_bytes,
        }
    }
