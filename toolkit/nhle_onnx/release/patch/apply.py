"""Applying a patch: in one pass, in little memory, and only if every byte is right."""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from nhle_onnx.errors import InputRefusedError, refuse_unreadable
from nhle_onnx.graph.inputs import note_model
from nhle_onnx.graph.regular_files import digest_regular, find_real_name, open_regular
from nhle_onnx.graph.save import write_streams
from nhle_onnx.hints import hint
from nhle_onnx.release.patch.container import Container, Span
from nhle_onnx.release.patch.differences import add_counts, add_differences
from nhle_onnx.values.patch import MadeFile, Piece

_BASE = "Give the model that was patched."
_CHUNK_BYTES = 2**17  # a multiple of every width, and small enough for a core's own cache
_MAX_WINDOW_BYTES = 2**23  # of each stream, as `pack` makes them


def locate_base(container: Container, base: Path) -> dict[int, Path]:
    """Return the base's files: the model as named by the user, others beside it."""
    folder = base.resolve().parent
    names = [file.name for file in container.manifest.base[1:]]
    real_names = (find_real_name(base, name) for name in names)
    return {0: base} | {index: folder / name for index, name in enumerate(real_names, 1)}


def locate_result(container: Container, out: Path) -> dict[int, Path]:
    """Return the result's paths: the model as named by the user, others beside it."""
    names = [file.name for file in container.manifest.result[1:]]
    return {0: out} | {index: out.parent / name for index, name in enumerate(names, 1)}


def check_base(container: Container, base: Path) -> None:
    """Raise InputRefusedError unless every file of the base is the one that the patch is for."""
    for index, path in locate_base(container, base).items():
        expected = container.manifest.base[index]
        if digest_file(path) != expected.sha256:
            made = container.manifest.result[index : index + 1]
            message = f"{path} is not the model that {container.path} is for"
            remedy = f"It is for a model with SHA-256 {expected.sha256}."
            if digest_file(path) in {file.sha256 for file in made}:
                message, remedy = f"{path} is already patched", "There is nothing to do."
            raise InputRefusedError(message, remedy=remedy)


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    try:
        return digest_regular(path)
    except OSError as error:
        raise refuse_unreadable(path, error, _BASE) from error


def apply_patch(container: Container, base: Path, out: Path, *, force: bool = False) -> None:
    """Write the result's files. Raises InputRefusedError where the base or the result does not have
    the expected digest; then nothing is written.
    """
    manifest = container.manifest
    bases = locate_base(container, base)
    _check_sizes(container, base)
    _check_room(container, out)
    with ExitStack() as stack:
        # hashing runs on another core
        checked = stack.enter_context(ThreadPoolExecutor(1)).submit(check_base, container, base)
        sources = {index: stack.enter_context(_open(path)) for index, path in bases.items()}
        for source in sources.values():
            note_model(os.fstat(source.fileno()))
        patch = _Streams(container, stack)
        helper = stack.enter_context(ThreadPoolExecutor(1))
        writers = {
            path: _Writer(manifest.result[index], sources, patch, helper).write
            for index, path in locate_result(container, out).items()
        }
        try:
            write_streams(writers, force=force, commit_marker=out, confirm=checked.result)
        except InputRefusedError:
            checked.result()  # with a wrong base anything may fail, so that is the reason to report
            raise


def _check_sizes(container: Container, base: Path) -> None:
    """Check sizes before anything is copied from a base that may be the wrong one."""
    for index, path in locate_base(container, base).items():
        with _open(path) as stream:
            size = os.fstat(stream.fileno()).st_size
        if size != container.manifest.base[index].size_bytes:
            check_base(container, base)  # gives a more precise reason
            raise _damage(container.path)


def _check_room(container: Container, out: Path) -> None:
    """Check the free space, before a small patch fills a disk."""
    needed = sum(file.size_bytes for file in container.manifest.result)
    free = shutil.disk_usage(out.parent).free
    if needed > free:
        message = f"{container.path} makes {needed:,} bytes, but {out.parent} has {free:,} free"
        raise InputRefusedError(message, remedy=hint("Give {out} a path where there is room."))


def _damage(path: Path) -> InputRefusedError:
    message = f"{path} is damaged: its content does not match its header"
    return InputRefusedError(message, remedy="Fetch it again, and compare its digest.")


def _open(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except OSError as error:
        raise refuse_unreadable(path, error, _BASE) from error


class _Streams:
    """The patch's streams, each read from start to end."""

    def __init__(self, container: Container, stack: ExitStack) -> None:
        self._path = container.path
        self._readers = {
            name: stack.enter_context(_open_stream(container, span, stack))
            for name, span in container.streams.items()
        }

    def read(self, name: str, size: int) -> bytes:
        """Read the next bytes of a stream."""
        try:
            content: bytes = self._readers[name].read(size)
        except (KeyError, zstandard.ZstdError) as error:
            raise _damage(self._path) from error
        if len(content) != size:
            raise _damage(self._path)
        return content


def _open_stream(
    container: Container, span: Span, stack: ExitStack
) -> zstandard.ZstdDecompressionReader:
    try:
        file = stack.enter_context(container.open())
    except OSError as error:
        raise refuse_unreadable(container.path, error, _BASE) from error
    file.seek(span.start)
    window = cast("BinaryIO", _Window(file, span.end - span.start))  # it is only read from
    return zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).stream_reader(window)


class _Window:
    """A file-like object for the next bytes of a file, and no more."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        """Read, as a file's method."""
        content = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(content)
        return content


class _Writer:
    """Writes one file of the result."""

    def __init__(
        self, made: MadeFile, sources: Mapping[int, BinaryIO], patch: _Streams, helper: Executor
    ) -> None:
        self._made, self._sources, self._patch, self._helper = made, sources, patch, helper

    def write(self, target: BinaryIO) -> None:
        """Write the file. Raises InputRefusedError where the digest is not the expected one."""
        digest, size = hashlib.sha256(), 0
        handed: Future[None] | None = None  # written and hashed while the next block is computed

        def take(content: bytes | memoryview) -> None:
            digest.update(content)
            target.write(content)

        for piece in self._made.pieces:
            read: Callable[[Piece, int, int], bytes | memoryview] = getattr(self, f"_{piece.kind}")
            for start in range(0, piece.size, _CHUNK_BYTES):
                content = read(piece, start, min(_CHUNK_BYTES, piece.size - start))
                if handed:
                    handed.result()
                handed = self._helper.submit(take, content)
                size += len(content)
        if handed:
            handed.result()
        if (digest.hexdigest(), size) != (self._made.sha256, self._made.size_bytes):
            message = f"the patch does not produce the promised file {self._made.name}"
            raise InputRefusedError(message, remedy="Fetch the patch again.")

    def _copy(self, piece: Piece, start: int, size: int) -> bytes:
        source = self._sources.get(piece.source)
        if source is None:
            message = "the patch names a file that the base does not have"
            raise InputRefusedError(message, remedy="Fetch the patch again.")
        source.seek(piece.offset + start)
        return source.read(size)

    def _insert(self, _piece: Piece, _start: int, size: int) -> bytes:
        return self._patch.read("insert", size)

    def _delta(self, piece: Piece, start: int, size: int) -> memoryview:
        names = [f"delta{piece.width}.{index}" for index in range(piece.width)]
        return add_differences(*self._read_planes(piece, start, size, piece.width, names))

    def _sum(self, piece: Piece, start: int, size: int) -> memoryview:
        old, planes = self._read_planes(piece, start, size, 4, ["sum.0", "sum.1"])
        return add_counts(old, planes, piece.exponent)

    def _read_planes(
        self, piece: Piece, start: int, size: int, width: int, names: Sequence[str]
    ) -> tuple[bytes, tuple[bytes, ...]]:
        """Read the base's words, and what to add to each."""
        old = self._copy(piece, start, size)
        count, rest = divmod(size, width)
        if rest or len(old) != size:
            message = "the patch changes numbers that the base does not hold"
            raise InputRefusedError(message, remedy="Fetch the patch again.")
        return old, tuple(self._patch.read(name, count) for name in names)
