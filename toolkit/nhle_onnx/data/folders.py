"""Image files in one folder for each class, decoded only on request."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nhle_onnx.data.decoding import decode_image
from nhle_onnx.data.labels import explain_class, find_class, find_classes, list_readings
from nhle_onnx.data.preprocess import normalize_pixels
from nhle_onnx.data.source import Array, Fill, fill_inputs
from nhle_onnx.data.tree import (
    Image,
    Tree,
    check_regular,
    describe_skipped,
    scan,
)
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.inputs import watch_inputs
from nhle_onnx.graph.regular_files import read_text
from nhle_onnx.hints import hint
from nhle_onnx.text import suggest
from nhle_onnx.values.preprocess import ImageInput, Preprocess

# The first that is there is proposed.
_SPLITS = ("val", "valid", "validation", "eval", "dev", "test", "testing", "train", "training")
LISTS = frozenset({".txt", ".lst", ".list"})  # suffixes of lists of images
TABLES = ("metadata.csv", "metadata.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSamples:
    """Image files in one folder for each class."""

    path: Path
    files: tuple[Path, ...]
    classes: npt.NDArray[np.int64]
    target: ImageInput
    preprocess: Preprocess
    piece_size: int = 16
    notes: tuple[str, ...] = ()

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
    """Open the images below folders that are named after classes, in natural order."""
    tree = scan(path)
    images = [image for image in tree.images if image.folders]
    if not images:
        raise _refuse_empty(path, tree, labels)
    _refuse_splits(path, images, labels)
    classes = _list_classes(path, images, labels)
    if outside := len(tree.images) - len(images):
        tree.skipped["outside of class folders"] += outside
    files = tuple(image.path for image in images)
    watch_inputs(files)
    return FolderSamples(
        path=path,
        files=files,
        classes=np.array(classes, dtype=np.int64),
        target=target,
        preprocess=preprocess,
        notes=describe_skipped(path, len(images), tree.skipped),
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """How folders' names are read: a number that is both a label and an index is a label if all
    numbers are labels.
    """

    root: Path
    labels: Sequence[str]
    are_labels: bool

    def choose(self, folders: tuple[str, ...]) -> int:
        """Choose the outermost folder that names a class; below it, only labels may contradict."""
        named = [(name, found) for name in folders if (found := self._find(name))]
        if not named:
            raise _refuse_unknown(self.root / folders[0], self.labels)
        (name, first), *inner = named
        if len(first) != 1 or first[0] >= len(self.labels):
            raise _refuse_unknown(self.root / name, self.labels)
        for other, others in inner:
            if not other.isdecimal() and first[0] not in others:
                message = f"{self.root.joinpath(*folders)} lies in folders of two classes"
                raise InputRefusedError(message, remedy=f"Move {name} and {other} apart.")
        return first[0]

    def _find(self, name: str) -> tuple[int, ...]:
        found = find_classes(name, self.labels)
        if name.isdecimal() and len(found) > 1:
            return found[:1] if self.are_labels else found[-1:]
        return found


def _list_classes(root: Path, images: Sequence[Image], labels: Sequence[str]) -> list[int]:
    """List the class of each image by its folders."""
    paths = {image.folders for image in images}
    numbers = [name for folders in paths for name in folders if name.isdecimal()]
    reading = _Reading(root, labels, all(name in labels for name in numbers))
    found = {folders: reading.choose(folders) for folders in paths}
    return [found[image.folders] for image in images]


def _refuse_unknown(folder: Path, labels: Sequence[str]) -> InputRefusedError:
    """Make the error for a folder whose name means no class, or several."""
    reason, _ = explain_class(folder.name, labels)
    detail = f": {reason}" if find_class(folder.name, labels) is None else ""
    near = suggest(folder.name, labels)
    return InputRefusedError(
        f"{folder} is not named after a class of the model{detail}",
        remedy=f"{near}Name folders by class index, or by label with labels.txt beside the model.",
    )


def _refuse_splits(path: Path, images: Sequence[Image], labels: Sequence[str]) -> None:
    """Refuse a folder of splits: only the user knows which one is meant."""
    names = dict.fromkeys(image.folders[0] for image in images)
    splits = [
        name for name in names if name.casefold() in _SPLITS and not find_classes(name, labels)
    ]
    if splits:
        meant = min(splits, key=lambda name: _SPLITS.index(name.casefold()))
        message = f"{path} holds the split folders {', '.join(splits)}"
        raise InputRefusedError(
            message, remedy=f"Give the folder of one split, such as {path / meant}."
        )


def _refuse_empty(path: Path, tree: Tree, labels: Sequence[str]) -> InputRefusedError:
    """Make the error for a folder without class folders."""
    if tree.images and find_classes(path.name, labels):
        message = f"{path} is the folder of one class"
        return InputRefusedError(message, remedy=f"Give its parent, {path.parent}.")
    if tree.images:
        message = f"{path} holds {len(tree.images)} images, but no folders of classes"
    else:
        left = ", ".join(f"{count} {kind}" for kind, count in tree.skipped.items())
        message = f"{path} holds no images" + (f" that are read: {left}" if left else "")
    return InputRefusedError(
        message, remedy="It needs one folder for each class: <class>/*.png|jpg|jpeg|webp|bmp."
    )


def open_unlabelled(
    path: Path,
    target: ImageInput,
    preprocess: Preprocess,
    labels: Sequence[str],
    excluded: Sequence[int],
) -> FolderSamples:
    """Open the images of a folder at any depth, or of a list, except those below a folder whose
    name may mean an excluded class.
    """
    tree = scan(path) if path.is_dir() else read_list(path)
    _refuse_tables(tree)
    kept = _drop(path, tree.images, labels, excluded)
    if left := len(tree.images) - len(kept):
        tree.skipped["in folders of a forgotten class"] += left
    if not kept:
        message = f"{path} holds " + ("only images of forgotten classes" if left else "no images")
        raise InputRefusedError(message, remedy=hint("Give {anchors} a folder of other images."))
    watch_inputs(kept)
    return FolderSamples(
        path=path,
        files=tuple(kept),
        classes=np.full(len(kept), -1, np.int64),
        target=target,
        preprocess=preprocess,
        notes=describe_skipped(path, len(kept), tree.skipped),
    )


def _refuse_tables(tree: Tree) -> None:
    """Refuse images beside a table, which may say that they are of a forgotten class."""
    for folder in {image.path.parent for image in tree.images}:
        if any((folder / name).is_file() for name in TABLES):
            message = f"{folder} has metadata, which says what its images are"
            raise InputRefusedError(message, remedy=hint("Give {anchors} that folder itself."))


def _drop(
    root: Path, images: Sequence[Image], labels: Sequence[str], excluded: Sequence[int]
) -> list[Path]:
    """Drop images below a folder whose name may mean an excluded class."""
    roots = (root.name, root.resolve().name) if root.is_dir() else ()
    names = {*roots, *(name for image in images for name in image.folders)}
    bad = {name for name in names if {*list_readings(name, labels)} & {*excluded}}
    if bad & {*roots}:
        return []
    return [image.path for image in images if not bad & {*image.folders}]


def read_list(path: Path) -> Tree:
    """Read a list of images, one path on each line, relative to the list's folder."""
    tree = Tree()
    for line in (line.strip() for line in _read_lines(path)):
        if line and not line.startswith("#"):
            file = path.parent / line
            check_regular(file)
            places = (Path(line), file.resolve())
            names = (name for place in places for name in place.parts[:-1])
            tree.images.append(Image(file, tuple(dict.fromkeys(names))))
    return tree


def _read_lines(path: Path) -> list[str]:
    try:
        return read_text(path, "utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read as a list of images: {error}"
        raise InputRefusedError(message, remedy="Write one path on each line.") from error
