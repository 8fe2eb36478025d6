"""Tar files of images, as WebDataset writes them. Nothing is extracted to disk."""

import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from nhle_onnx.data.encoded import Encoded, EncodedSamples, read_class
from nhle_onnx.data.tree import is_image
from nhle_onnx.errors import InputRefusedError, refuse_unreadable
from nhle_onnx.graph.inputs import watch_inputs
from nhle_onnx.graph.regular_files import open_regular
from nhle_onnx.values.preprocess import ImageInput, Preprocess

MAX_IMAGE_BYTES = 2**26
_MAX_CLASS_BYTES = 1024
_MAX_DIGITS = 9
_SHOWN = 64
_MAX_NAME = 4096  # characters, the longest path of most systems
_MAX_MEMBERS = 2**25
_REMEDY = "Write plain tar files with <key>.jpg and <key>.cls, or with one folder for each class."


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The place of a file in a tar: its content starts at `offset`."""

    tar: Path
    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class TarStore:
    """Images in uncompressed tars, by their place."""

    members: Sequence[Member]

    @contextmanager
    def open(self) -> Iterator[Callable[[int], Encoded]]:
        """As in ImageStore."""
        with ExitStack() as stack:
            opened: dict[Path, BinaryIO] = {}

            def fetch(index: int) -> Encoded:
                member = self.members[index]
                if member.tar not in opened:
                    stack.pop_all().close()  # the previous file
                    opened.clear()
                    opened[member.tar] = stack.enter_context(open_regular(member.tar))
                return f"{member.tar}: {member.name}", _read(opened[member.tar], member)

            yield fetch


def open_tars(
    path: Path,
    tars: Sequence[Path],
    target: ImageInput,
    preprocess: Preprocess,
    labels: Sequence[str],
) -> EncodedSamples:
    """Open the samples of tars: `<key>.cls` beside each image, or `<class>/<image>`. Raises
    InputRefusedError for tars that are damaged, without images, or with images without a class.
    """
    watch_inputs(tars)
    members: list[Member] = []
    classes: list[int] = []
    for tar in tars:
        for member, written in _pair(tar, list(_list_members(tar))):
            members.append(member)
            classes.append(read_class(f"{tar}: {member.name}", written, labels))
    if not members:
        raise InputRefusedError(f"{path} holds no images", remedy=_REMEDY)
    return EncodedSamples(
        path=path,
        store=TarStore(members),
        classes=np.array(classes, np.int64),
        target=target,
        preprocess=preprocess,
    )


def split_key(name: str) -> tuple[str, str]:
    """Split a member's name into the sample's key and the suffix, which starts at the first dot."""
    folder, slash, own = name.rpartition("/")
    stem, dot, suffix = own.partition(".")
    return (f"{folder}{slash}{stem}", suffix.lower()) if stem and dot else (name, "")


def read_cls(content: bytes) -> str | int:
    """Read a `.cls`: WebDataset writes the index, whatever the labels are."""
    text = content.decode("utf-8", "replace").strip()
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else text


def name_folder(name: str) -> str:
    """Return a member's folder, which names its class where there is no `.cls`."""
    return PurePosixPath(name).parent.name


def _list_members(tar: Path) -> Iterator[Member]:
    """List regular files, skipping links, devices and sparse files."""
    try:
        size = tar.stat().st_size
        with tarfile.open(tar, "r:") as archive:
            last = -1
            for number, item in enumerate(archive):
                _check_member(item, number, last)
                last = item.offset
                if not item.isreg() or item.issparse():
                    continue
                if item.offset_data + item.size > size:
                    message = f"{item.name} is cut short"
                    raise tarfile.ReadError(message)
                yield Member(tar=tar, name=item.name, offset=item.offset_data, size=item.size)
    except (OSError, tarfile.TarError, ValueError, EOFError, OverflowError) as error:
        message = f"{tar} cannot be read as an uncompressed tar: {error}"
        raise InputRefusedError(message, remedy=_REMEDY) from error


def _check_member(item: tarfile.TarInfo, number: int, last: int) -> None:
    """Refuse what takes long to read: with a negative size, `tarfile` would never end."""
    if item.size < 0 or item.offset <= last:
        message = f"{item.name[:_SHOWN]} has a negative size"
        raise tarfile.ReadError(message)
    if len(item.name) > _MAX_NAME or number >= _MAX_MEMBERS:
        message = f"it has a name of {len(item.name):,} characters, or too many files"
        raise tarfile.ReadError(message)


def _pair(tar: Path, members: Sequence[Member]) -> Iterator[tuple[Member, str | int]]:
    """Pair each image with its class as written."""
    written: dict[str, str | int] = {}
    with open_regular(tar) as stream:
        for member in members:
            key, suffix = split_key(member.name)
            if suffix == "cls":
                _check_size(member, _MAX_CLASS_BYTES)
                written[key] = read_cls(_read(stream, member))
    for member in members:
        if not is_image(Path(member.name)):
            continue
        _check_size(member, MAX_IMAGE_BYTES)
        key, _ = split_key(member.name)
        if written and key not in written:
            raise InputRefusedError(f"{tar}: {member.name} has no {key}.cls", remedy=_REMEDY)
        yield member, written[key] if written else name_folder(member.name)


def _check_size(member: Member, limit: int) -> None:
    if member.size > limit:
        message = f"{member.tar}: {member.name} has {member.size:,} bytes, more than {limit:,}"
        raise InputRefusedError(message, remedy="Leave it out of the tar.")


def _read(stream: BinaryIO, member: Member) -> bytes:
    try:
        stream.seek(member.offset)
        content = stream.read(member.size)
    except OSError as error:
        raise refuse_unreadable(member.tar, error, _REMEDY) from error
    if len(content) != member.size:
        raise InputRefusedError(f"{member.tar}: {member.name} is cut short", remedy=_REMEDY)
    return content
