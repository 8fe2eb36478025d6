"""`patch create` and `patch apply` as functions, without torch."""

from pathlib import Path
from typing import Literal

from nhle_onnx.api.keywords import StrPath
from nhle_onnx.values.limits import MAX_ELEMENTS
from nhle_onnx.values.patch import Manifest
from nhle_onnx.values.settings.patch import ApplySettings, CreateSettings
from nhle_onnx.workflows.patch_apply import apply_patch_file
from nhle_onnx.workflows.patch_create import create_patch as write_patch


def create_patch(
    base: StrPath,
    edited: StrPath,
    out: StrPath,
    *,
    report: StrPath | None = None,
    no_deltas: bool = False,
    max_elements: int = MAX_ELEMENTS,
    force: bool = False,
) -> Manifest:
    """Write a patch from `base` to `edited`, and return its manifest.

    `report` is the report of `unlearn`, by default the one beside `edited`. With `no_deltas`, the
    patch holds new values only. Raises InputRefusedError or UnsupportedModelError.

    Examples:
        >>> import nhle_onnx
        >>> from tempfile import TemporaryDirectory
        >>> model = "models/lenet5_fashion_mnist/model.onnx"
        >>> with TemporaryDirectory() as folder:
        ...     edited, patch, made = (f"{folder}/{name}" for name in ("e.onnx", "p", "m.onnx"))
        ...     report = nhle_onnx.unlearn(model, forget=3, method="cwm", out=edited)
        ...     manifest = nhle_onnx.create_patch(model, edited, patch)
        ...     applied = nhle_onnx.apply_patch(model, patch, made)
        >>> applied.result[0].sha256 == report.edited.sha256
        True
        >>> manifest.forget, [tensor.rows for tensor in manifest.tensors]
        ((3,), [((3, 3),), ((3, 3),)])
    """
    settings = CreateSettings(
        base=Path(base),
        edited=Path(edited),
        out=Path(out),
        report=Path(report) if report else None,
        no_deltas=no_deltas,
        max_elements=max_elements,
        force=force,
    )
    return write_patch(settings).manifest


def apply_patch(
    base: StrPath,
    patch: StrPath,
    out: StrPath,
    *,
    require_signature: StrPath | None = None,
    signature: StrPath | None = None,
    also: Literal["ort"] | None = None,
    force: bool = False,
) -> Manifest:
    """Apply a patch: write the exact edited model to `out`, or nothing.

    With `require_signature`, a public key, the patch must have been signed with its private key.
    `signature` is by default the patch's name and .sig. Raises UsageError or InputRefusedError.
    """
    settings = ApplySettings(
        base=Path(base),
        patch=Path(patch),
        out=Path(out),
        trusted=Path(require_signature) if require_signature else None,
        signature=Path(signature) if signature else None,
        also=also,
        force=force,
    )
    return apply_patch_file(settings).manifest
