"""Private temporary folders, removed at the end; the next process removes those of killed ones."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where nothing is swept
    fcntl = None  # type: ignore[assignment]

_NAME = "nhle-onnx"
_YOUNG_S = 60  # a folder just made may not be locked yet


@contextmanager
def open_scratch(parent: Path | None = None, name: str = _NAME) -> Iterator[Path]:
    """Make a folder that only this user can read, by default in the system's folder for temporary
    files. It is locked while this process lives, so that the next process knows which folders are
    left over.
    """
    place, prefix = parent or Path(tempfile.gettempdir()), f".{name}.scratch-"
    _sweep(place, prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=place) as folder:
        lock = _lock(Path(folder))
        try:
            yield Path(folder)
        finally:
            if lock is not None:
                os.close(lock)


def _sweep(place: Path, prefix: str) -> None:
    for left in [item for item in place.iterdir() if item.name.startswith(prefix)]:
        with suppress(OSError):
            status = left.lstat()
            is_ours = status.st_uid == os.getuid() if fcntl else False
            if not is_ours or left.is_symlink() or time.time() - status.st_mtime < _YOUNG_S:
                continue
            lock = _lock(left)
            if lock is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder; None if a living process holds it. The system unlocks what a process held."""
    if not fcntl:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
