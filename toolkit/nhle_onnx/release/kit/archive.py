"""The zip file of a kit; the same contents give the same bytes."""

import io
import zipfile
from collections.abc import Mapping

_UNIX = 3
_MODE = 0o644 << 16


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """Pack the files into one archive, sorted by name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)  # of 1980, the format's earliest date
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX
            entry.external_attr = _MODE
            archive.writestr(entry, files[name])
    return stream.getvalue()
