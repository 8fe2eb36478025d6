"""Labelled image files inside other files or in memory, decoded only on request."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nhle_onnx.data.decoding import decode_image
from nhle_onnx.data.labels import find_class, find_classes
from nhle_onnx.data.preprocess import normalize_pixels
from nhle_onnx.data.source import Array, Fill, fill_inputs
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.preprocess import ImageInput, Preprocess

LABEL_COLUMNS = ("label", "labels", "class", "cls", "y")
Encoded = tuple[str, bytes]  # an image's name for messages, and its file's content


class ImageStore(Protocol):
    """A store of encoded images."""

    def open(self) -> AbstractContextManager[Callable[[int], Encoded]]:
        """Return a function from an index to its image; call it with ascending indices.

        It raises InputRefusedError for images that cannot be read.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedSamples:
    """Image files in a store, in its order."""

    path: Path
    store: ImageStore
    classes: npt.NDArray[np.int64]
    target: ImageInput
    preprocess: Preprocess
    piece_size: int = 16
    notes: tuple[str, ...] = ()

    def load(self, pieces: Iterable[Sequence[int]]) -> Iterator[Fill]:
        """As in SampleSource."""
        with self.store.open() as fetch:
            for piece in pieces:
                yield partial(self._prepare, [fetch(index) for index in piece])

    def read(self, indices: Sequence[int]) -> Array:
        """As in SampleSource."""
        ascending, places = np.unique(np.asarray(indices, np.int64), return_inverse=True)
        return fill_inputs(self, ascending.tolist())[places]

    def _prepare(self, images: Sequence[Encoded], prepared: Array) -> None:
        for (name, content), place in zip(images, prepared, strict=True):
            pixels = decode_image(name, BytesIO(content), self.target, self.preprocess)
            normalize_pixels(pixels[None], self.target, self.preprocess, place[None])


@dataclass(frozen=True, slots=True)
class ImagesInMemory:
    """A store of images that are already in memory."""

    images: Sequence[Encoded]

    def open(self) -> AbstractContextManager[Callable[[int], Encoded]]:
        """As in ImageStore."""
        return nullcontext(self.images.__getitem__)


def read_class(name: str, written: str | int, labels: Sequence[str]) -> int:
    """Read an image's class from an index or a label. Raises InputRefusedError."""
    found = written if isinstance(written, int) else find_class(written.strip(), labels)
    if found is None or not 0 <= found < len(labels):
        shown = written if isinstance(written, int) else written.strip()[:64]
        several = isinstance(written, str) and len(find_classes(written.strip(), labels)) > 1
        why = "may be several of the model's" if several else "the model does not have"
        message = f"{name} is of class {shown!r}, which {why}"
        raise InputRefusedError(
            message,
            remedy=f"Write indices from 0 to {len(labels) - 1}, or the model's labels.",
        )
    return found


def read_rows(
    files: Sequence[Path],
    read_labels: Callable[[Path], Sequence[str | int]],
    names: Sequence[str] | None,
    labels: Sequence[str],
) -> tuple[tuple[int, ...], npt.NDArray[np.int64]]:
    """Return the first row of each file, with the end of the last, and the class of each row.
    Raises InputRefusedError for a class that the model does not have.
    """
    mapped = map_names(names, labels)
    classes: list[int] = []
    counts = []
    for file in files:
        written = read_labels(file)
        counts.append(len(written))
        classes += [
            read_class(f"{file}: row {row}", translate(value, mapped), labels)
            for row, value in enumerate(written)
        ]
    return tuple(accumulate(counts, initial=0)), np.array(classes, np.int64)


def map_names(names: Sequence[str] | None, labels: Sequence[str]) -> tuple[int, ...]:
    """Map a data set's own numbers to classes: it may have them in another order. If all of its
    `names` are labels of the model, they decide; otherwise nothing is mapped.
    """
    found = [find_class(str(name), labels) for name in names or ()]
    known = tuple(index for index in found if index is not None)
    return known if len({*known}) == len(found) else ()


def translate(written: str | int, classes: Sequence[int]) -> str | int:
    """Translate a data set's number; anything else stays as written."""
    is_mapped = isinstance(written, int) and 0 <= written < len(classes)
    return classes[int(written)] if is_mapped else written
