"""Image files in one folder for each class, decoded only on request."""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image

from nhle_onnx.data.labels import find_class
from nhle_onnx.data.preprocess import MAX_PIXELS, Pixels, normalize_pixels, shape_image
from nhle_onnx.data.source import Array, Fill, fill_inputs
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.hints import hint
from nhle_onnx.values.preprocess import ImageInput, Preprocess

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
# A file's content decides, not its name; but Pillow's many other readers are never used.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_DEEP_MODES = ("I", "F")  # I;16 and similar modes too
_OPAQUE = frozenset({1, 3})  # channels
_DIGITS = re.compile(r"(\d+)")
_REMEDY = "Replace or remove this file."

# Such an image is refused, with a clearer message.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSamples:
    """Image files in one folder for each class."""

    path: Path
    files: tuple[Path, ...]
    classes: npt.NDArray[np.int64]
    target: ImageInput
    preprocess: Preprocess
    piece_size: int = 16

    def load(self, pieces: Iterable[Sequence[int]]) -> Iterator[Fill]:
        """As in SampleSource; the InputRefusedError names a file that cannot be decoded."""
        for piece in pieces:
            yield partial(self._prepare, [self.files[index] for index in piece])

    def read(self, indices: Sequence[int]) -> Array:
        """As in SampleSource."""
        return fill_inputs(self, indices)

    def _prepare(self, files: list[Path], prepared: Array) -> None:
        for file, place in zip(files, prepared, strict=True):
            pixels = decode_image(file, file, self.target, self.preprocess)
            normalize_pixels(pixels[None], self.target, self.preprocess, place[None])


def open_folder(
    path: Path, target: ImageInput, preprocess: Preprocess, labels: Sequence[str]
) -> FolderSamples:
    """Open the samples of `<class>/*.png|jpg|jpeg|webp|bmp`, classes and files in natural order."""
    files: list[Path] = []
    classes: list[int] = []
    for folder in (item for item in _list_folder(path) if item.is_dir()):
        images = _list_images(folder)
        if not images:
            continue
        found = find_class(folder.name, labels)
        if found is None or found >= len(labels):
            message = f"{folder} is not named after a class of the model"
            raise InputRefusedError(
                message,
                remedy="Name folders by class index, or by label with labels.txt beside the model.",
            )
        files += images
        classes += [found] * len(images)
    if not files:
        message = f"{path} holds no images"
        raise InputRefusedError(
            message, remedy="It needs one folder for each class: <class>/*.png|jpg|jpeg|webp|bmp."
        )
    return FolderSamples(
        path=path,
        files=tuple(files),
        classes=np.array(classes, dtype=np.int64),
        target=target,
        preprocess=preprocess,
    )


def open_unlabelled(
    path: Path,
    target: ImageInput,
    preprocess: Preprocess,
    labels: Sequence[str],
    excluded: Sequence[int],
) -> FolderSamples:
    """Open the images at any depth, except in folders named after an excluded class."""
    files = [
        file
        for file in _check_regular(sorted(filter(is_image, path.rglob("*")), key=_natural_order))
        if file.parent == path or find_class(file.parent.name, labels) not in excluded
    ]
    if not files:
        message = f"{path} holds no images"
        raise InputRefusedError(message, remedy=hint("Give {anchors} a folder of images."))
    return FolderSamples(
        path=path,
        files=tuple(files),
        classes=np.full(len(files), -1, np.int64),
        target=target,
        preprocess=preprocess,
    )


def is_image(path: Path) -> bool:
    """Whether a path is named as an image file of a supported format."""
    return path.suffix.lower() in _SUFFIXES


def decode_image(
    file: Path | str, content: Path | IO[bytes], target: ImageInput, preprocess: Preprocess
) -> Pixels:
    """Decode the `content` of an image `file`: [H, W, C or 1] in the target's size and colours.
    Raises InputRefusedError that names the file.
    """
    try:
        with Image.open(content, formats=_FORMATS) as image:
            _check_image(image)
            image.load()
            if image.mode == "P" and target.channels in _OPAQUE:
                image.info.pop("transparency", None)  # otherwise Pillow warns that it will be lost
            return shape_image(image, target, preprocess)
    except InputRefusedError as error:
        message = f"{file}: {error.reason}"
        raise InputRefusedError(message, remedy=error.remedy) from error
    except Exception as error:  # Pillow's readers raise errors of any type
        message = f"{file} cannot be decoded as an image: {str(error) or type(error).__name__}"
        raise InputRefusedError(message, remedy=_REMEDY) from error


def _check_image(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        message = f"an image of {image.width}x{image.height} pixels is too large"
        raise InputRefusedError(message, remedy=_REMEDY)
    if image.mode.startswith(_DEEP_MODES):
        message = "its pixels have more than 8 bits, which preprocessing does not cover"
        raise InputRefusedError(message, remedy="Give 8-bit images.")


def _list_images(folder: Path) -> list[Path]:
    return _check_regular([file for file in _list_folder(folder) if is_image(file)])


def _list_folder(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=_natural_order)
    except OSError as error:
        message = f"{folder} cannot be read: {error.strerror}"
        raise InputRefusedError(message, remedy="Make the folder readable.") from error


def _check_regular(files: list[Path]) -> list[Path]:
    """Refuse folders, broken links and pipes; reading a pipe could block forever."""
    for file in files:
        if not file.is_file():
            message = f"{file} is named as an image, but is not a regular file"
            raise InputRefusedError(message, remedy=_REMEDY)
    return files


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Sort numbers in names as numbers: 2 before 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(path.name)
    ]
