"""Writing files: whole or not at all, and over existing ones only on request."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.inputs import check_inputs, is_input, is_special, limit_permissions
from nhle_onnx.hints import hint

_DESCRIPTORS = Path("/proc/self/fd")


def check_writable(path: Path, *, force: bool) -> None:
    """Refuse, before long work begins, an output that could not be written at the end."""
    if path.is_dir():
        raise InputRefusedError(f"{path} is a folder", remedy="Give the output the name of a file.")
    with _explained(path):
        refuse_input(path)
    if path.exists() and not force:
        raise _exists(path)
    with _explained(path), tempfile.TemporaryFile(dir=path.parent):
        pass


def refuse_input(path: Path) -> None:
    """Refuse an output that would replace an input, or a device, pipe or the like."""
    if not path.exists():
        return
    if is_input(path):
        message = f"{path} is read by this command, and never changed"
        raise InputRefusedError(message, remedy="Give the output another path.")
    if is_special(path):
        message = f"{path} is not a regular file"
        raise InputRefusedError(message, remedy="Give the output the name of a file.")


def write_files(
    contents: Mapping[Path, bytes], *, force: bool, commit_marker: Path | None = None
) -> None:
    """Write every file beside its target first, then move all of them into place.

    `commit_marker`, by default the last file, is moved last; an old one is removed first. So where
    it exists, the other files belong to it, even if this process was killed. Unless forced, a file
    that another process created meanwhile is kept, and nothing is written.
    """
    writers = {path: partial(_write, content) for path, content in contents.items()}
    write_streams(writers, force=force, commit_marker=commit_marker)


def write_streams(
    writers: Mapping[Path, Callable[[BinaryIO], None]],
    *,
    force: bool,
    commit_marker: Path | None = None,
    confirm: Callable[[], None] = lambda: None,
) -> None:
    """Do as `write_files`, with content that is generated while it is written. Nothing is moved
    into place if `confirm` raises.
    """
    with ExitStack() as stack:
        for path in writers:
            with _explained(path):
                refuse_input(path)
        staged = {path: _stage(path, write, stack) for path, write in writers.items()}
        confirm()
        check_inputs()
        if commit_marker:
            staged[commit_marker] = staged.pop(commit_marker)
        _put_all(staged, force=force)


def _write(content: bytes, stream: BinaryIO) -> None:
    stream.write(content)


def _stage(path: Path, write: Callable[[BinaryIO], None], stack: ExitStack) -> Path:
    """Write a file's content to a temporary place, which is removed when the stack closes."""
    with _explained(path):
        stream, source = _open_temporary(path, stack)
        if hasattr(os, "fchmod"):
            mode = os.fstat(stream.fileno()).st_mode & 0o777
            os.fchmod(stream.fileno(), limit_permissions(mode))
        try:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        except BaseException:
            with suppress(OSError):  # on a full disk, writing the rest would fail as well
                stream.close()
            raise
        if not _is_nameless(source):
            stream.close()  # Windows cannot move an open file
    return source


def _open_temporary(path: Path, stack: ExitStack) -> tuple[BinaryIO, Path]:
    """Open a new file in the same folder, without a name where the system allows that. A file
    without a name leaves nothing behind, even if this process is killed.
    """
    if hasattr(os, "O_TMPFILE") and _DESCRIPTORS.is_dir():
        with suppress(OSError):
            descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
            return stack.enter_context(os.fdopen(descriptor, "wb")), _DESCRIPTORS / str(descriptor)
    source = _name_temporary(path)
    stream = source.open("xb")
    stack.callback(source.unlink, missing_ok=True)
    return stack.enter_context(stream), source


def _is_nameless(source: Path) -> bool:
    return source.parent == _DESCRIPTORS


def _name_temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{token_hex(4)}.part")


def _put_all(staged: Mapping[Path, Path], *, force: bool) -> None:
    """Put all files into place in order; unless forced, a failure removes them again."""
    if force and len(staged) > 1:
        *_, commit_marker = staged
        with _explained(commit_marker):
            commit_marker.unlink(missing_ok=True)
    with ExitStack() as undo:
        for path, source in staged.items():
            with _explained(path):
                if force:
                    _replace(source, path)
                else:
                    _add(source, path)
                    undo.callback(path.unlink, missing_ok=True)
        undo.pop_all()


def _add(source: Path, path: Path) -> None:
    """Put a file into place. Raises FileExistsError where one exists."""
    try:
        # with an absolute source the descriptor is ignored, but it makes Python follow links
        os.link(source.absolute(), path, src_dir_fd=0)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        if _is_nameless(source):
            raise
        # file systems without links, as on memory cards; on Windows, rename never replaces
        if path.exists():
            raise FileExistsError from None
        source.rename(path)


def _replace(source: Path, path: Path) -> None:
    """Put a file into place, replacing any other."""
    named = source
    try:
        if _is_nameless(source):
            named = _name_temporary(path)
            _add(source, named)
        named.replace(path)
    finally:
        named.unlink(missing_ok=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the system's message into an error that names the output."""
    try:
        yield
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise InputRefusedError(message, remedy="Give it a path in a writable folder.") from error


def _exists(path: Path) -> InputRefusedError:
    message = f"{path} already exists"
    return InputRefusedError(
        message, remedy=hint("Give {force=True} to replace it, or another name.")
    )
