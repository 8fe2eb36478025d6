"""Whether a lowered model computes what ONNX Runtime computes."""

import numpy as np
import numpy.typing as npt
import torch

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.lowering.module import LoweredModel

TOLERANCE = 1e-3  # of the largest logit's magnitude


def check_parity(
    lowered: LoweredModel, inputs: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]
) -> float:
    """The largest difference from ONNX Runtime's logits, relative to the largest logit.

    Raises UnsupportedModelError where it exceeds `TOLERANCE`: such a model must not be trained.
    """
    try:
        with torch.no_grad():
            logits = lowered.module(torch.from_numpy(inputs)).numpy()
        difference = np.abs(logits.reshape(expected.shape) - expected).max()
    except (RuntimeError, ValueError) as error:
        message = f"the trainable form of the model does not run: {str(error).splitlines()[0]}"
        raise UnsupportedModelError(
            message, remedy="Export it with a free batch size, or use --method cwm."
        ) from error
    departure = float(difference / max(float(np.abs(expected).max()), 1e-12))
    if not departure <= TOLERANCE:
        message = (
            f"the trainable form of the model departs from ONNX Runtime by {departure:.2g} of the "
            f"largest logit, above the tolerance of {TOLERANCE:g}"
        )
        raise UnsupportedModelError(message, remedy="Use --method cwm to edit the head alone.")
    return departure
