"""Whether a lowered model computes the same as ONNX Runtime."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nhle_onnx.errors import UnsupportedModelError, first_line
from nhle_onnx.hints import hint

Array = npt.NDArray[np.generic]


def check_parity(
    compute: Callable[[Tensor], Tensor],
    inputs: npt.NDArray[np.float32],
    expected: npt.NDArray[np.float32],
    tolerance: float,
    locate: Callable[[], str] | None = None,
) -> float:
    """Return the largest difference from ONNX Runtime's logits, relative to the largest logit.

    Raises UnsupportedModelError where it exceeds `tolerance`: such a model must not be trained.
    `locate`, if given, names the first node that differs.
    """
    try:
        with torch.no_grad():
            logits = compute(torch.from_numpy(inputs)).numpy()
        divergence = measure_divergence(logits.reshape(expected.shape), expected)
    except (RuntimeError, ValueError) as error:
        message = f"the trainable form of the model does not run: {first_line(error)}"
        raise UnsupportedModelError(
            message, remedy=hint("Use {method=cwm} to edit the head alone.")
        ) from error
    if not divergence <= tolerance:
        message = (
            f"the trainable form of the model differs from ONNX Runtime by {divergence:.2g} of the "
            f"largest logit, above the tolerance of {tolerance:g}"
        )
        if locate:
            message += _describe_place(locate)
        raise UnsupportedModelError(
            message, remedy=hint("Use {method=cwm} to edit the head alone.")
        )
    return divergence


def _describe_place(locate: Callable[[], str]) -> str:
    try:
        return f"; first at {locate()}"
    except Exception:  # noqa: BLE001 - whatever fails in the search, the refusal stands without it
        return ""


def measure_divergence(computed: Array, expected: Array) -> float:
    """Return the largest difference, relative to the largest expected magnitude."""
    difference = np.abs(computed.astype(np.float64) - expected.astype(np.float64))
    scale = float(np.abs(expected.astype(np.float64)).max(initial=0.0))
    return float(difference.max(initial=0.0)) / max(scale, 1e-12)
