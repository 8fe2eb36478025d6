"""Labelled samples from an image folder or an `.npz` file, decoded only when asked for."""

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from nhle_onnx.data.labels import find_class
from nhle_onnx.data.preprocess import prepare_image
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.preprocess import ImageInput, Preprocess

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
_DIGITS = re.compile(r"(\d+)")
_GREY_RANK = 3
EVALUATION_FILE = "evaluation.npz"


class SampleSource(Protocol):
    """Samples whose classes are known before any image is decoded."""

    @property
    def path(self) -> Path:
        """The folder or file they come from."""

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """The class of each sample, [N]."""

    def read(self, indices: Sequence[int]) -> npt.NDArray[np.float32]:
        """The chosen samples as model inputs, [len(indices), ...]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSamples:
    """Image files in one folder a class."""

    path: Path
    files: tuple[Path, ...]
    classes: npt.NDArray[np.int64]
    target: ImageInput
    preprocess: Preprocess

    def read(self, indices: Sequence[int]) -> npt.NDArray[np.float32]:
        """Decode and prepare; InputRefusedError names a file that cannot be decoded."""
        prepared = [self._read_one(self.files[index]) for index in indices]
        return np.stack(prepared) if prepared else _make_empty(self.target)

    def _read_one(self, file: Path) -> npt.NDArray[np.float32]:
        try:
            with Image.open(file) as image:
                return prepare_image(image, self.target, self.preprocess)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            message = f"{file} cannot be decoded as an image: {error}"
            raise InputRefusedError(message, remedy="Replace or remove this file.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySamples:
    """The arrays of an `.npz`: images (uint8), or model inputs (float32, `preprocess` None)."""

    path: Path
    x: npt.NDArray[np.generic]
    classes: npt.NDArray[np.int64]
    target: ImageInput
    preprocess: Preprocess | None

    def read(self, indices: Sequence[int]) -> npt.NDArray[np.float32]:
        """Prepare the images, or pass the inputs on."""
        chosen = self.x[list(indices)]
        if self.preprocess is None:
            return chosen.astype(np.float32, copy=False)
        prepared = [
            prepare_image(Image.fromarray(image), self.target, self.preprocess) for image in chosen
        ]
        return np.stack(prepared) if prepared else _make_empty(self.target)


def open_samples(
    path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
) -> SampleSource:
    """Samples of a folder `<class>/*.png|jpg|jpeg|webp|bmp`, or of an `.npz` with x and y.

    Raises InputRefusedError for what is missing, empty, of the wrong form, or of no known class.
    """
    if path.is_dir():
        return _open_folder(path, target, preprocess, labels)
    if path.is_file():
        return _open_npz(path, target, preprocess, len(labels))
    message = f"{path} does not exist"
    raise InputRefusedError(message, remedy="Give an image folder, one folder a class, or an .npz.")


def read_unlabelled(
    path: Path,
    target: ImageInput,
    preprocess: Preprocess | None,
    labels: Sequence[str],
    excluded: Sequence[int],
) -> npt.NDArray[np.float32]:
    """All images of a folder at any depth, or the x of an `.npz`, as model inputs.

    Folders named after an excluded class, and samples of one, are left out.
    """
    if not path.is_dir():
        source = open_samples(path, target, preprocess, labels)
        return source.read(np.flatnonzero(~np.isin(source.classes, excluded)).tolist())
    files = [
        file
        for file in sorted(path.rglob("*"), key=_natural_order)
        if is_image(file)
        and (file.parent == path or find_class(file.parent.name, labels) not in excluded)
    ]
    if not files:
        message = f"{path} holds no images"
        raise InputRefusedError(message, remedy="Give --anchors a folder of images.")
    folder = FolderSamples(
        path=path,
        files=tuple(files),
        classes=np.full(len(files), -1, np.int64),
        target=target,
        preprocess=_require(preprocess, path),
    )
    return folder.read(range(len(files)))


def is_image(path: Path) -> bool:
    """Whether a path has the name of an image file that can be read."""
    return path.suffix.lower() in _SUFFIXES


def _open_folder(
    path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
) -> FolderSamples:
    files: list[Path] = []
    classes: list[int] = []
    for folder in sorted((item for item in path.iterdir() if item.is_dir()), key=_natural_order):
        images = sorted(
            filter(is_image, folder.iterdir()),
            key=_natural_order,
        )
        if not images:
            continue
        found = find_class(folder.name, labels)
        if found is None or found >= len(labels):
            message = f"{folder} is named after no class of the model"
            raise InputRefusedError(
                message,
                remedy="Name folders by class index, or by label with labels.txt beside the model.",
            )
        files += images
        classes += [found] * len(images)
    if not files:
        message = f"{path} holds no images"
        raise InputRefusedError(
            message, remedy="It needs one folder a class: <class>/*.png|jpg|jpeg|webp|bmp."
        )
    return FolderSamples(
        path=path,
        files=tuple(files),
        classes=np.array(classes, dtype=np.int64),
        target=target,
        preprocess=_require(preprocess, path),
    )


def _open_npz(
    path: Path, target: ImageInput, preprocess: Preprocess | None, num_classes: int
) -> ArraySamples:
    remedy = (
        "It needs x (uint8 images [N, H, W] or [N, H, W, C], or float32 inputs "
        f"[N, {', '.join(map(str, target.sample_shape))}]) and y (integer classes [N])."
    )
    try:
        with np.load(path, allow_pickle=False) as archive:
            x, y = archive["x"], archive["y"]
    except (OSError, ValueError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        message = f"{path} is not a readable .npz with x and y: {error}"
        raise InputRefusedError(message, remedy=remedy) from error
    is_image = x.dtype == np.uint8 and _is_image_shape(x.shape)
    is_input = x.dtype == np.float32 and x.shape[1:] == target.sample_shape
    if not is_image and not is_input:
        message = f"{path}: x is {x.dtype} of shape {list(x.shape)}"
        raise InputRefusedError(message, remedy=remedy)
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu" or not len(y):
        message = f"{path}: y is {y.dtype} of shape {list(y.shape)}, and x has {len(x)} samples"
        raise InputRefusedError(message, remedy=remedy)
    if y.min() < 0 or y.max() >= num_classes:
        message = f"{path}: y holds classes from {y.min()} to {y.max()}"
        raise InputRefusedError(message, remedy=f"The model has classes 0 to {num_classes - 1}.")
    return ArraySamples(
        path=path,
        x=x,
        classes=y.astype(np.int64),
        target=target,
        preprocess=_require(preprocess, path) if is_image else None,
    )


def _is_image_shape(shape: tuple[int, ...]) -> bool:
    return len(shape) == _GREY_RANK or (len(shape) == _GREY_RANK + 1 and shape[-1] in {3, 4})


def _require(preprocess: Preprocess | None, path: Path) -> Preprocess:
    if preprocess is None:
        message = f"nothing says how images such as those in {path} become the model's input"
        raise InputRefusedError(
            message,
            remedy="Put a preprocessor_config.json beside the model, or give --preprocess FILE, or "
            "--mean and --std (with --range LOW,HIGH where pixels are not scaled to 0..1).",
        )
    return preprocess


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Numbers in names sort as numbers: 2 before 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(path.name)
    ]


def _make_empty(target: ImageInput) -> npt.NDArray[np.float32]:
    return np.empty((0, *target.sample_shape), np.float32)
