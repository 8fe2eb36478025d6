"""The files below a folder as found: which are images, and what else lies there."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nhle_onnx.errors import InputRefusedError, refuse_unreadable

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp"})
# Images that are not read: Pillow's many other readers are never used.
_OTHER_IMAGES = frozenset({
    ".tif", ".tiff", ".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg", ".ppm", ".pgm",
    ".psd", ".ico", ".tga", ".exr", ".dcm", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".npy",
})  # fmt: skip
_SYSTEM = frozenset(
    {"@eadir", "__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "lost+found"}
)
_MAX_DEPTH = 32
_DIGITS = re.compile(r"(\d+)")
_REMEDY = "Replace or remove this file."


@dataclass(frozen=True, slots=True)
class Image:
    """An image file, and the names of the folders between it and the root."""

    path: Path
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """Images in natural order, and how many files of each other kind are left."""

    images: list[Image] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def scan(root: Path) -> Tree:
    """Find images at any depth, and count the rest. Raises InputRefusedError."""
    tree = Tree()
    _scan(root, (), {_identify(root)}, tree)
    return tree


def _scan(folder: Path, folders: tuple[str, ...], above: set[tuple[int, int]], tree: Tree) -> None:
    inner = []
    for item in list_folder(folder):
        if item.name.startswith(".") or item.name.casefold() in _SYSTEM:
            tree.skipped["hidden or system"] += 1
        elif is_image(item):
            check_regular(item)
            tree.images.append(Image(item, folders))
        elif item.is_dir():
            inner.append(item)
        elif item.suffix.lower() in _OTHER_IMAGES or (folders and item.suffix):
            tree.skipped[item.suffix.lower()] += 1
    for item in inner:
        place = _identify(item)
        if place not in above and len(folders) < _MAX_DEPTH:  # a link may lead back
            _scan(item, (*folders, *_list_names(item)), {*above, place}, tree)


def _list_names(folder: Path) -> Iterator[str]:
    """List a folder's name, and that of the folder which it leads to."""
    yield folder.name
    if folder.is_symlink() and (name := folder.resolve().name) != folder.name:
        yield name


def _identify(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def describe_skipped(path: Path, read: int, skipped: Counter[str]) -> tuple[str, ...]:
    """Say how many files were read, and what was left out; nothing if all were read."""
    if not skipped:
        return ()
    parts = [f"{count} {kind}" for kind, count in skipped.items()]
    verb = "is" if skipped.total() == 1 else "are"
    files = f"{read + skipped.total()} files in {path}"
    return (f"read {read} of {files}; {', '.join(parts)} {verb} not read",)


def is_image(path: Path) -> bool:
    """Whether a path is named as an image file of a supported format."""
    return path.suffix.lower() in _SUFFIXES


def is_any_image(path: Path) -> bool:
    """Whether a path is named as an image file of any format."""
    return is_image(path) or path.suffix.lower() in _OTHER_IMAGES - {".npy"}


def list_folder(folder: Path) -> list[Path]:
    """List a folder in natural order. Raises InputRefusedError."""
    try:
        return sorted(folder.iterdir(), key=_natural_order)
    except OSError as error:
        raise refuse_unreadable(folder, error, "Make the folder readable.") from error


def check_regular(file: Path) -> None:
    """Refuse folders, broken links and pipes; reading a pipe could block forever."""
    if not file.is_file():
        message = f"{file} is named as an image, but is not a regular file"
        raise InputRefusedError(message, remedy=_REMEDY)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Sort numbers in names as numbers: 2 before 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(path.name)
    ]
