"""Labelled samples in an `.npz`: images, or prepared model inputs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import tee
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nhle_onnx.data.npz import NpzArray, open_array
from nhle_onnx.data.preprocess import MAX_PIXELS, Pixels, normalize_pixels, require_preprocess
from nhle_onnx.data.source import Array, Fill, fill_inputs
from nhle_onnx.data.stacks import shape_stack
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.inputs import watch_inputs
from nhle_onnx.values.preprocess import ImageInput, Preprocess

_GREY_RANK = 3
_PIECE, _PIECE_BYTES = 128, 2**25
_MAX_SAMPLES = 2**25  # their classes alone take 256 MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySamples:
    """`x` holds images (uint8), or model inputs (float32, `preprocess` None)."""

    path: Path
    x: NpzArray
    classes: npt.NDArray[np.int64]
    target: ImageInput
    preprocess: Preprocess | None
    notes: tuple[str, ...] = ()

    @property
    def piece_size(self) -> int:
        """As in SampleSource."""
        return max(1, min(_PIECE, _PIECE_BYTES // self.x.row_bytes))

    def load(self, pieces: Iterable[Sequence[int]]) -> Iterator[Fill]:
        """As in SampleSource."""
        kept, followed = tee(pieces)
        for piece, rows in zip(kept, self.x.read_rows(followed), strict=True):
            if self.preprocess is None:
                yield partial(self._pass_on, rows, piece)
            else:
                yield partial(_prepare, rows, self.target, self.preprocess)

    def read(self, indices: Sequence[int]) -> Array:
        """As in SampleSource."""
        ascending, places = np.unique(np.array(indices, np.int64), return_inverse=True)
        inputs = fill_inputs(self, ascending.tolist())
        is_ascending = np.array_equal(places, np.arange(len(inputs)))
        return inputs if is_ascending else inputs[places]

    def _pass_on(self, inputs: Array, indices: Sequence[int], prepared: Array) -> None:
        broken = np.flatnonzero(~np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1))
        if len(broken):
            message = f"{self.path}: x[{indices[broken[0]]}] holds numbers that are not finite"
            raise InputRefusedError(message, remedy="Remove or correct this sample.")
        prepared[...] = inputs


def open_arrays(
    path: Path, target: ImageInput, preprocess: Preprocess | None, num_classes: int
) -> ArraySamples:
    """Open the samples of an `.npz` with x and y; only y is read at once.

    `preprocess` is for images, and ignored if x holds model inputs. Raises InputRefusedError for
    arrays that do not fit the model or each other.
    """
    watch_inputs((path,))
    x, y = open_array(path, "x"), open_array(path, "y")
    images = "uint8 images [N, H, W] or [N, H, W, C], or " if target.takes_pictures else ""
    remedy = (
        f"It needs x ({images}float32 inputs [N, {', '.join(map(str, target.sample_shape))}]) "
        "and y (integer classes [N])."
    )
    are_images = target.takes_pictures and _holds_images(x) and not _are_raw(x, target)
    if not are_images and not _holds_inputs(x, target):
        raise InputRefusedError(f"{path}: x is {x.dtype} of shape {list(x.shape)}", remedy=remedy)
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu" or not 0 < y.shape[0] <= _MAX_SAMPLES:
        message = f"{path}: y is {y.dtype} of shape {list(y.shape)}, and x has {x.shape[0]} samples"
        raise InputRefusedError(message, remedy=remedy)
    (classes,) = y.read_rows([range(y.shape[0])])
    if classes.min() < 0 or classes.max() >= num_classes:
        message = f"{path}: y holds classes from {classes.min()} to {classes.max()}"
        raise InputRefusedError(message, remedy=f"The model has classes 0 to {num_classes - 1}.")
    return ArraySamples(
        path=path,
        x=x,
        classes=classes.astype(np.int64),
        target=target,
        preprocess=require_preprocess(preprocess, path) if are_images else None,
    )


def _holds_images(x: NpzArray) -> bool:
    is_grey = len(x.shape) == _GREY_RANK
    is_colour = len(x.shape) == _GREY_RANK + 1 and x.shape[-1] in {3, 4}
    if x.dtype != np.uint8 or not (is_grey or is_colour):
        return False
    return 0 < x.shape[1] * x.shape[2] <= MAX_PIXELS


def _holds_inputs(x: NpzArray, target: ImageInput) -> bool:
    """Whether samples need no preparation. Features that are not images may have any precision."""
    is_real = x.dtype in {np.dtype(np.float32), np.dtype(target.dtype)}
    is_real = is_real or (target.layout is None and x.dtype.kind == "f")
    return is_real and x.shape[1:] == target.sample_shape


def _are_raw(x: NpzArray, target: ImageInput) -> bool:
    """Whether samples are 8-bit pixels in the form that the model takes."""
    return target.dtype == "uint8" and _holds_inputs(x, target)


def _prepare(images: Pixels, target: ImageInput, preprocess: Preprocess, prepared: Array) -> None:
    normalize_pixels(shape_stack(images, target, preprocess), target, preprocess, prepared)
