"""Inputs without images, to try or to compare models on."""

import numpy as np
import numpy.typing as npt

from nhle_onnx.values.preprocess import ImageInput

_PIXELS = frozenset({"uint8", "int8"})


def make_noise(target: ImageInput, count: int = 16) -> npt.NDArray[np.float32]:
    """Make inputs for a comparison without images; they are the same each time."""
    shape = (count, *target.sample_shape)
    generator = np.random.default_rng(0)
    if target.dtype in _PIXELS:
        return generator.integers(0, 128, shape, np.uint8).astype(
            np.float32
        )  # what both types hold
    return generator.standard_normal(shape, dtype=np.float32)
