"""Files out: whole or not at all, and never over an existing file unless asked."""

import os
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

from nhle_onnx.errors import InputRefusedError


def check_writable(path: Path, *, force: bool) -> None:
    """Refuse early, before long work, an output that could not be written at the end."""
    if path.is_dir():
        message = f"{path} is a folder"
        raise InputRefusedError(message, remedy="Give the output the name of a file.")
    if path.exists() and not force:
        message = f"{path} exists already"
        raise InputRefusedError(message, remedy="Give --force to replace it, or another name.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _not_writable(path, error) from error


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write every file beside its target first, then move all of them into place."""
    write_streams({path: partial(_write, content) for path, content in contents.items()})


def write_streams(
    writers: Mapping[Path, Callable[[BinaryIO], None]],
    confirm: Callable[[], None] = lambda: None,
) -> None:
    """As `write_files`, for content that is made while it is written. Nothing moves into place if
    `confirm` then raises.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, write in writers.items():
            staged[path] = _stage(path, write)
        confirm()
        for path, temporary in staged.items():
            temporary.replace(path)
    except OSError as error:
        raise _not_writable(path, error) from error
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def _write(content: bytes, stream: BinaryIO) -> None:
    stream.write(content)


def _stage(path: Path, write: Callable[[BinaryIO], None]) -> Path:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _not_writable(path: Path, error: OSError) -> InputRefusedError:
    message = f"{path} cannot be written: {error.strerror}"
    return InputRefusedError(message, remedy="Give it a path in a writable folder.")
