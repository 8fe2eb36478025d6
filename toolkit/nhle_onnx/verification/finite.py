"""NaN and infinity are refused, naming the sample where they occur."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nhle_onnx.errors import NotFiniteError


def check_finite(values: npt.NDArray[np.floating], what: str, remedy: str) -> None:
    """Raise NotFiniteError for values [N, ...] with NaN or an infinity, naming the first row."""
    bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), values[:1].size)).all(axis=1))
    if len(bad):
        message = f"{what}: sample {bad[0]} of {len(values)} holds numbers that are not finite"
        raise NotFiniteError(message, remedy=remedy)


@contextmanager
def name_model(path: Path) -> Iterator[None]:
    """Add the name of the file to a NotFiniteError."""
    try:
        yield
    except NotFiniteError as error:
        raise NotFiniteError(f"{path}: {error.reason}", remedy=error.remedy) from error
