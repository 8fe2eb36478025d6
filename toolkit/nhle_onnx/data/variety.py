"""How varied images are, and which few of many show the most.

Images are compared as a coarse grid of their mean pixels, so that noise and a shift by a pixel
hardly count. The first images of a folder often show one scene many times.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nhle_onnx.values.preprocess import Layout

Array = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float64]

_CELLS = 16  # of the grid, along an image's shorter side
_COMPARED = 256  # images; more would not change what is typical


def spread(positions: Sequence[int], count: int) -> list[int]:
    """Take `count` of the positions, or all, evenly from first to last."""
    taken = min(count, len(positions))
    return [positions[place * len(positions) // taken] for place in range(taken)]


def choose_varied(images: Array, layout: Layout | None, count: int) -> list[int]:
    """Choose `count` images [N, ...] so that every other lies near one of them; indices ascend.

    Each further one is the image that brings all others closest to a chosen one. An outlier shows
    nothing but itself, and is not chosen for being far from all others.
    """
    distances = _measure_distances(_reduce(images, layout))
    nearest = np.full(len(images), distances.max(initial=0.0))
    chosen: list[int] = []
    for _ in range(min(count, len(images))):
        left = np.minimum(nearest[:, None], distances).sum(0)
        left[chosen] = np.inf
        chosen.append(int(left.argmin()))
        nearest = np.minimum(nearest, distances[:, chosen[-1]])
    return sorted(chosen)


def measure_variety(images: Array, others: Array, layout: Layout | None) -> float | None:
    """Return the median distance of an image [N, ...] to the one most like it, divided by the
    median distance of any two images. 0 where all are the same; None for fewer than two.
    """
    if len(images) < 2:  # noqa: PLR2004 - as the docstring says
        return None
    some = [each[spread(range(len(each)), _COMPARED)] for each in (images, others)]
    distances = _measure_distances(_reduce(np.concatenate(some), layout))
    typical = np.median(distances[np.triu_indices(len(distances), 1)])
    count = len(some[0])
    own = distances[:count, :count] + np.diag(np.full(count, np.inf))
    return float(np.median(own.min(1)) / typical) if typical > 0 else 0.0


def _reduce(images: Array, layout: Layout | None) -> Array:
    """Return the mean of each cell of a grid, [N, D]; other inputs stay as they are."""
    if layout is None:
        return images.reshape(len(images), -1)
    pictures = images if layout == "NCHW" else np.moveaxis(images, -1, 1)
    count, channels, *extent = pictures.shape
    side = max(1, min(extent) // _CELLS)
    height, width = (length // side for length in extent)
    inner = pictures[:, :, : height * side, : width * side]
    cells = inner.reshape(count, channels, height, side, width, side)
    reduced: Array = cells.mean((3, 5)).reshape(count, -1)
    return reduced


def _measure_distances(rows: Array) -> Distances:
    """Euclidean distances [N, N]."""
    centred = rows.astype(np.float64) - rows.mean(0, dtype=np.float64)
    squares = (centred * centred).sum(1)
    squared = squares[:, None] + squares - 2 * centred @ centred.T
    distances: Distances = np.sqrt(squared.clip(0))
    np.fill_diagonal(distances, 0)
    return distances
