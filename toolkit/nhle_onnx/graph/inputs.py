"""Files that a command has opened: no output may replace them, and samples must not change."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from nhle_onnx.errors import InputRefusedError


@dataclass(slots=True)
class _Inputs:
    """`opened` holds files by device and inode, `watched` a hash of each group of files that will
    be read again. `allowed` are the permissions that all models have: files made from them get no
    others.
    """

    opened: set[tuple[int, int]] = field(default_factory=set)
    allowed: int = 0o777
    watched: dict[Sequence[Path], int] = field(default_factory=dict)


_CURRENT: ContextVar[_Inputs | None] = ContextVar("inputs", default=None)


@contextmanager
def remember_inputs() -> Iterator[None]:
    """Remember what is opened from here on. At the end, raise InputRefusedError where samples were
    changed since they were first read; `check_inputs` does the same earlier.
    """
    token = _CURRENT.set(_Inputs())
    try:
        yield
        check_inputs()
    finally:
        _CURRENT.reset(token)


def note_input(status: os.stat_result) -> None:
    """Remember an opened file."""
    if inputs := _CURRENT.get():
        inputs.opened.add((status.st_dev, status.st_ino))


def note_model(status: os.stat_result) -> None:
    """Remember who may read a model."""
    if inputs := _CURRENT.get():
        inputs.allowed &= stat.S_IMODE(status.st_mode) | 0o700


def limit_permissions(mode: int) -> int:
    """Return a new file's permissions, without those that a model of this command lacks."""
    inputs = _CURRENT.get()
    return mode & inputs.allowed if inputs else mode


def watch_inputs(files: Sequence[Path]) -> None:
    """Remember files that will be read more than once, such as samples."""
    if inputs := _CURRENT.get():
        inputs.watched[tuple(files)] = _describe(files)


def check_inputs() -> None:
    """Raise InputRefusedError where a watched file is no longer what it was."""
    inputs = _CURRENT.get()
    for files, described in inputs.watched.items() if inputs else ():
        if _describe(files) != described:
            name = files[0] if len(files) == 1 else f"a file in {os.path.commonpath(files)}"
            raise changed_input(name)


def changed_input(path: Path | str) -> InputRefusedError:
    """Make the error for a file that was changed."""
    message = f"{path} was changed by another process while it was in use"
    return InputRefusedError(
        message, remedy="Run this again when no other process writes the file."
    )


def is_input(path: Path) -> bool:
    """Whether an existing path leads to a file that was opened, under any name."""
    inputs, status = _CURRENT.get(), path.stat()
    if inputs is None:
        return False
    identity = (status.st_dev, status.st_ino)
    watched = (file for files in inputs.watched for file in files)
    return identity in inputs.opened or any(_identify(file) == identity for file in watched)


def is_special(path: Path) -> bool:
    """Whether a path leads to a device, a pipe or the like, where no result can be stored."""
    return not stat.S_ISREG(path.stat().st_mode)


def _identify(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _describe(files: Sequence[Path]) -> int:
    """Return a hash of identities, sizes and times: setting the time of modification back changes
    the time of the last status change.
    """
    return hash(tuple(map(_describe_file, files)))


def _describe_file(file: Path) -> tuple[int, ...]:
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
