"""Git LFS pointers: small texts in the place of files that were not fetched."""

from pathlib import Path

from nhle_onnx.errors import InputRefusedError

_START = b"version https://git-lfs.github.com/spec/"
_REMEDY = "Fetch the file itself with `git lfs pull`."


def is_pointer(start: bytes) -> bool:
    """Whether a file that starts like this is a pointer."""
    return start.startswith(_START)


def make_refusal(name: object) -> InputRefusedError:
    """Make the error for a pointer."""
    return InputRefusedError(f"{name} is a Git LFS pointer, not the file itself", remedy=_REMEDY)


def refuse_pointer(path: Path) -> None:
    """Raise InputRefusedError for a pointer; other files, and those without access, pass."""
    try:
        if not path.is_file():
            return
        with path.open("rb") as stream:
            start = stream.read(len(_START))
    except OSError:
        return
    if is_pointer(start):
        raise make_refusal(path)
