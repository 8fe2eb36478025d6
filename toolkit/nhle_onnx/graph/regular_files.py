"""Opening untrusted files: only regular ones, and without ever blocking."""

import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path, PurePosixPath, PureWindowsPath

from nhle_onnx.graph.inputs import note_input

MAX_TEXT_BYTES = 2**26  # of labels, reports, signatures and the like
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading. Raises OSError for a folder, and for a pipe, socket or device, which
    could block or never end.
    """
    try:
        return _open(path, path.stat(), _FLAGS)
    except ValueError as error:  # a null character in the name
        raise OSError(errno.EINVAL, str(error)) from error


def read_regular(path: Path, max_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """Read a whole file, once. Raises OSError as `open_regular`, and for a file of more bytes."""
    with open_regular(path) as stream:
        content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"it has more than {max_bytes:,} bytes")
    return content


def digest_regular(path: Path) -> str:
    """Return the SHA-256 of a file. Raises OSError as `open_regular`."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Do as `read_regular`, for text. Raises ValueError for other bytes."""
    return read_regular(path).decode(encoding)


def open_sidecar(folder: Path, location: str) -> BufferedReader:
    """Open a file that a model names, in the model's folder or below.

    `folder` must be resolved. Raises ValueError for a name that leaves the folder, and OSError for
    anything but a regular file, and for symbolic and hard links, which may lead to any file.
    """
    check_inside(location)
    path = folder / PurePosixPath(location)
    if path.is_symlink() or path.resolve() != path:
        message = f"{location} is a symbolic link, or lies behind one, and may lead to any file"
        raise ValueError(message)
    status = path.lstat()
    if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
        raise ValueError(f"{location} has several names (hard links)")
    return _open(path, status, _FLAGS | _NO_LINK)


def find_real_name(model: Path, location: str) -> str:
    """Return the name that a sidecar has in the folder where the model's file lies.

    It differs from `location`, the name in the model, in a cache of downloads: there, a model and
    its sidecars are links into one folder of files named by their content. A link to a sidecar is
    followed only if the model is a link as well and both lead into the same folder: then it reaches
    nothing that the model could not name itself.
    """
    folder = model.resolve().parent
    if not model.is_symlink() or not is_inside(location) or os.path.lexists(folder / location):
        return location
    linked = model.parent / PurePosixPath(location)
    real = linked.resolve()
    return real.name if linked.is_symlink() and real.parent == folder else location


def is_inside(name: str) -> bool:
    """Whether a relative name stays inside its folder on every system."""
    paths = (PurePosixPath(name), PureWindowsPath(name))
    leaves = any(path.anchor or ".." in path.parts for path in paths)
    return name.isprintable() and bool(paths[0].parts) and not leaves


def check_inside(location: str) -> None:
    """Raise ValueError for a name that is empty or leaves its folder."""
    if not location:
        raise ValueError("it has no name")
    if not is_inside(location):
        raise ValueError(f"{location} is not in the model's folder")


def _open(path: Path, status: os.stat_result, flags: int) -> BufferedReader:
    _check_kind(status)  # opening a device may have effects
    descriptor = os.open(path, flags)
    try:
        opened = os.fstat(descriptor)
        _check_kind(opened)
        note_input(opened)
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _check_kind(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
