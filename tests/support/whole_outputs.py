"""Whether an output is whole, and not a part of one."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.release.signature import check_signature
from nhle_onnx.values.signature import TrustedKey

_NAMED = re.compile(rb'"digest": ?"sha256:([0-9a-f]{64})"')  # by an index or a manifest


def _open_converted(path: Path) -> object:
    """A file of ONNX Runtime's own format, whose bytes vary."""
    import onnxruntime as ort  # noqa: PLC0415 - slow, and one job needs it

    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def _find_end(path: Path) -> None:
    if not path.read_text("utf-8").endswith("</html>\n"):
        raise ValueError(path)


# all of these tell the time, and differ between runs
_READERS: Mapping[str, Callable[[Path], object]] = {
    ".ort": _open_converted, ".html": _find_end, ".xml": ET.parse,
}  # fmt: skip


def _can_be_read(read: Callable[[Path], object], path: Path) -> bool:
    try:
        read(path)
    except Exception:  # noqa: BLE001 - of whatever kind
        return False
    return True


def digest_file(path: Path) -> str:
    """SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def choose_check(
    made: Path, old: bytes | None, arguments: tuple[str, ...], public: Path
) -> Callable[[Path], bool]:
    """How to tell that an output is whole, of a run that made it.

    Reports tell the time and signatures are random; all else is the same bytes each time."""
    if made.name.endswith(".report.json"):
        return describes_model
    if made.suffix == ".sig":
        signed = [Path(name) for name in arguments[1:3]]
        return partial(_is_signature, signed, TrustedKey(public_key=public))
    if made.is_dir():
        return is_tree
    if made.suffix in _READERS:
        return partial(_can_be_read, _READERS[made.suffix])
    digests = {digest_file(made), hashlib.sha256(old).hexdigest() if old else ""}
    return lambda path: digest_file(path) in digests


def is_tree(folder: Path) -> bool:
    """Whether a folder holds no parts of files: blobs are what their names say, those that are
    named are there, and each report describes its model.
    """
    files = [path for path in folder.rglob("*") if path.is_file()]
    blobs = {path.name: path for path in files if path.parent.name == "sha256"}
    indices = [path for path in files if path.name == "index.json" or path in blobs.values()]
    named = {name.decode() for path in indices for name in _NAMED.findall(path.read_bytes())}
    return (
        not any(path.name.startswith(".") for path in files)
        and all(digest_file(path) == name for name, path in blobs.items())
        and named <= blobs.keys()
        and all(describes_model(path) for path in files if path.name.endswith(".report.json"))
    )


def describes_model(report: Path) -> bool:
    """Whether a report is whole, and that of the model beside it."""
    try:
        promised = json.loads(report.read_text("utf-8"))["edited"]
        return bool(
            digest_file(report.with_name(Path(promised["path"]).name)) == promised["sha256"]
        )
    except (OSError, ValueError, KeyError):
        return False


def _is_signature(signed: list[Path], trusted: TrustedKey, path: Path) -> bool:
    try:
        check_signature(signed, path, trusted)
    except InputRefusedError:
        return False
    return True
