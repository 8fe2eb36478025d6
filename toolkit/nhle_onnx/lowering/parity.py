"""Whether a lowered model computes what ONNX Runtime computes."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.hints import hint

Array = npt.NDArray[np.generic]


def check_parity(
    compute: Callable[[Tensor], Tensor],
    inputs: npt.NDArray[np.float32],
    expected: npt.NDArray[np.float32],
    tolerance: float,
    locate: Callable[[], str] | None = None,
) -> float:
    """The largest difference from ONNX Runtime's logits, relative to the largest of them.

    Raises UnsupportedModelError where it exceeds `tolerance`: such a model must not be trained.
    `locate` then names the first node that departs, if it is given.
    """
    try:
        with torch.no_grad():
            logits = compute(torch.from_numpy(inputs)).numpy()
        departure = measure_divergence(logits.reshape(expected.shape), expected)
    except (RuntimeError, ValueError) as error:
        message = f"the trainable form of the model does not run: {str(error).splitlines()[0]}"
        raise UnsupportedModelError(
            message, remedy=hint("Use {method=cwm} to edit the head alone.")
        ) from error
    if not departure <= tolerance:
        message = (
            f"the trainable form of the model departs from ONNX Runtime by {departure:.2g} of the "
            f"largest logit, above the tolerance of {tolerance:g}"
        )
        if locate:
            message = f"{message}; first at {locate()}"
        raise UnsupportedModelError(
            message, remedy=hint("Use {method=cwm} to edit the head alone.")
        )
    return departure


def measure_divergence(computed: Array, expected: Array) -> float:
    """The largest difference, relative to the largest magnitude that was expected."""
    difference = np.abs(computed.astype(np.float64) - expected.astype(np.float64))
    scale = float(np.abs(expected.astype(np.float64)).max(initial=0.0))
    return float(difference.max(initial=0.0)) / max(scale, 1e-12)
