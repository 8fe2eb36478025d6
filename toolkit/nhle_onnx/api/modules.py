"""A torch module that is exported to ONNX and made to forget classes."""

import warnings
from pathlib import Path
from typing import Unpack

import numpy as np
import torch
from torch import Tensor, nn

from nhle_onnx.api.calls import documented
from nhle_onnx.api.commands import unlearn
from nhle_onnx.api.keywords import Classes, StrPath, TuningKeywords
from nhle_onnx.errors import UnsupportedModelError, UsageError
from nhle_onnx.graph.save import check_writable
from nhle_onnx.graph.scratch import open_scratch
from nhle_onnx.values.detection import DetectionReport
from nhle_onnx.values.report import UnlearnReport
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.workflows.observer import Observer

_OPSET = 17


@documented(UnlearnSettings, without={"samples", "out"})
def unlearn_module(
    module: nn.Module,
    images: Tensor,
    classes: Tensor,
    *,
    forget: Classes,
    out: StrPath,
    observer: Observer | None = None,
    **keywords: Unpack[TuningKeywords],
) -> UnlearnReport | DetectionReport:
    """Export a module, and make the export forget classes as `unlearn` does.

    `images` [N, ...] are the module's inputs, of `classes` [N]. The export is written beside `out`
    as STEM.original.onnx; `verify`, `audit` and patches compare with it. The module itself is not
    changed.

    Raises what `unlearn` raises, and UnsupportedModelError where torch cannot export the module.

    Examples:
        >>> import nhle_onnx, torch
        >>> from tempfile import TemporaryDirectory
        >>> _ = torch.manual_seed(0)
        >>> images, classes = torch.rand(60, 1, 8, 8), torch.arange(60) % 3
        >>> module = torch.nn.Sequential(
        ...     torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)
        ... )
        >>> with TemporaryDirectory() as folder:
        ...     report = nhle_onnx.unlearn_module(
        ...         module, images, classes, forget=2, out=f"{folder}/new.onnx", steps=20,
        ...         force_unknown=True,  # as it was never trained
        ...     )
        >>> report.after.acc_f, report.model.head.num_classes
        (0.0, 3)
    """
    if len(images) != len(classes):
        message = f"there are {len(images)} images, but {len(classes)} classes"
        raise UsageError(message, remedy="Give the class of each image.")
    edited = Path(out)
    original = edited.with_name(f"{edited.stem}.original.onnx")
    check_writable(original, force=keywords.get("force", False))
    with open_scratch() as folder:
        samples = folder / "samples.npz"
        np.savez(samples, x=images.detach().float().cpu().numpy(), y=classes.cpu().numpy())
        _export(module, images[:2], original)
        try:
            return unlearn(
                original, forget=forget, samples=samples, out=edited, observer=observer, **keywords
            )
        except BaseException:
            original.unlink()
            raise


def _export(module: nn.Module, images: Tensor, path: Path) -> None:
    """Write ONNX with torch's older exporter, which needs no further package."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module, (images,), path, dynamo=False, opset_version=_OPSET, verbose=False,
                input_names=["image"], output_names=["logits"],
                dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
            )  # fmt: skip
    except Exception as error:  # errors of the exporter and of the module share no base class
        message = f"torch {torch.__version__} cannot export the module: {error}"
        raise UnsupportedModelError(
            message, remedy="Export it to ONNX in another way, and use nhle_onnx.unlearn."
        ) from error
