"""The result of training, without any torch objects."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nhle_onnx.hints import hint, word
from nhle_onnx.values.report import TrainingStep
from nhle_onnx.values.request import Mask
from nhle_onnx.values.settings.unlearn import UnlearnSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """New tensors by ONNX name, and the course of training; by default no training."""

    tensors: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    device: str = "none"
    details: dict[str, Any] = field(
        default_factory=lambda: {"steps_run": 0, "stop_reason": hint("no training: {method=cwm}")}
    )
    points: tuple[TrainingStep, ...] = ()
    parity: float | None = None


def describe_method(
    settings: UnlearnSettings, mask: Mask, training: TrainingResult
) -> dict[str, Any]:
    """Return every option as it was resolved, and what training found."""
    options = settings.options
    return {
        **asdict(options),
        "mask": mask,
        "lr": "auto" if options.lr is None else options.lr,
        "steps": "auto" if options.steps is None else options.steps,
        "anchors": settings.anchors,
        "parity_with_onnxruntime": training.parity,
        **training.details,
        "stop_reason": word(training.details["stop_reason"], settings.wording),
    }
