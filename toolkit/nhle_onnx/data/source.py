"""What every source of labelled samples offers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nhle_onnx.values.preprocess import ImageInput

Array = npt.NDArray[np.float32]
# Writes samples into an array of as many model inputs, [n, ...]; any thread may call it.
Fill = Callable[[Array], None]


class SampleSource(Protocol):
    """Samples whose classes are known before any image is decoded."""

    @property
    def path(self) -> Path:
        """The folder or file they come from."""

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """The class of each sample, [N]."""

    @property
    def target(self) -> ImageInput:
        """The input that samples are prepared for."""

    @property
    def piece_size(self) -> int:
        """How many samples are best prepared at a time, and the most that memory bears."""

    def load(self, pieces: Iterable[Sequence[int]]) -> Iterator[Fill]:
        """For each piece, what prepares its samples; indices ascend strictly over all pieces.

        Raises InputRefusedError, as the items do, for what cannot be read or decoded.
        """

    def read(self, indices: Sequence[int]) -> Array:
        """The chosen samples as model inputs, [len(indices), ...], in that order."""


def split_pieces(indices: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Indices in pieces of `size`, of which the last may be smaller."""
    return (indices[start : start + size] for start in range(0, len(indices), size))


def fill_inputs(source: SampleSource, indices: Sequence[int]) -> Array:
    """Samples at strictly ascending `indices` as model inputs, all of them in memory."""
    inputs = np.empty((len(indices), *source.target.sample_shape), np.float32)
    size = source.piece_size
    places = range(0, len(indices), size)
    for start, fill in zip(places, source.load(split_pieces(indices, size)), strict=True):
        fill(inputs[start : start + size])
    return inputs
