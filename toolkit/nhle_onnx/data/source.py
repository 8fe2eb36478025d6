"""The interface of every source of labelled samples."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nhle_onnx.values.preprocess import ImageInput, Preprocess

Array = npt.NDArray[np.float32]
# Writes n samples into an array of model inputs [n, ...]; any thread may call it.
Fill = Callable[[Array], None]


class SampleSource(Protocol):
    """Samples with classes that are known before any image is decoded."""

    @property
    def path(self) -> Path:
        """The folder or file of the samples."""

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """The class of each sample, [N]."""

    @property
    def target(self) -> ImageInput:
        """The model input for which samples are prepared."""

    @property
    def preprocess(self) -> Preprocess | None:
        """What images go through; None for those that are model inputs already."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, for the report."""

    @property
    def piece_size(self) -> int:
        """The best number of samples to prepare at a time, which memory use depends on."""

    def load(self, pieces: Iterable[Sequence[int]]) -> Iterator[Fill]:
        """Yield, for each piece, a function that prepares its samples; indices must strictly
        ascend. Raises InputRefusedError, as these functions do, for samples that cannot be read or
        decoded.
        """

    def read(self, indices: Sequence[int]) -> Array:
        """Read samples as model inputs, [len(indices), ...], in the order of `indices`."""


def split_pieces(indices: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Split indices into pieces of `size`; the last may be smaller."""
    return (indices[start : start + size] for start in range(0, len(indices), size))


def fill_inputs(source: SampleSource, indices: Sequence[int]) -> Array:
    """Read samples at strictly ascending `indices` as model inputs, all in memory."""
    inputs = np.empty((len(indices), *source.target.sample_shape), np.float32)
    size = source.piece_size
    places = range(0, len(indices), size)
    for start, fill in zip(places, source.load(split_pieces(indices, size)), strict=True):
        fill(inputs[start : start + size])
    return inputs
