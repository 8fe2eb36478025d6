"""Standard output that never changes a verdict: closed, full, or without the characters needed."""

import codecs
import errno
import io
import json
import os
import sys
from typing import TextIO


class _Lasting(io.RawIOBase):
    """Writes to a descriptor, and drops what it does not take. If nobody reads any more, nothing is
    lost; any other failure is kept in `failure`.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.failure: OSError | None = None

    def writable(self) -> bool:
        """As in RawIOBase."""
        return True

    def fileno(self) -> int:
        """As in RawIOBase."""
        return self._descriptor

    def isatty(self) -> bool:
        """As in RawIOBase."""
        return os.isatty(self._descriptor)

    def write(self, content: object) -> int:
        """As in RawIOBase."""
        view = memoryview(content)  # type: ignore[arg-type]
        try:
            return os.write(self._descriptor, view)
        except OSError as error:
            if error.errno != errno.EPIPE:
                self.failure = error
            return view.nbytes


def secure_streams() -> None:
    """Replace stdout and stderr, where they are the process's own, by streams that never raise."""
    codecs.register_error("json", _escape)
    sys.stdout = _secure(sys.stdout)
    sys.stderr = _secure(sys.stderr)


def require_written() -> None:
    """Raise OSError where stdout did not take everything, unless nobody reads it any more."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    sys.stdout.flush()
    if isinstance(raw, _Lasting) and raw.failure:
        raise raw.failure


def _secure(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed by whoever started the program
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - as long as we run
    raw = _Lasting(stream.fileno())
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, errors="json", line_buffering=raw.isatty()
    )


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Write characters that the encoding lacks as JSON does, which keeps documents valid."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end
