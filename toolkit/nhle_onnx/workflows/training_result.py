"""The result of training, without any torch objects."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nhle_onnx.hints import hint
from nhle_onnx.values.report import TrainingStep


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
