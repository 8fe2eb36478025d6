"""`.npz` files that try something."""

import pickle
import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from support.hostile.case import MODEL, Attempt, HostileFile, write

_FILE = "data.npz"
_VERIFY = (
    "verify", f"{{folder}}/{MODEL}", "--forget", "3", "--quiet", "--data", f"{{folder}}/{_FILE}",
    "--mean", "0.286", "--std", "0.353",
)  # fmt: skip
_COUNT = 4
_IMAGES = np.zeros((_COUNT, 28, 28), np.uint8)
_INPUTS = np.zeros((_COUNT, 1, 28, 28), np.float32)
_CLASSES = np.full(_COUNT, 3)


def _refuse(
    name: str,
    tries: str,
    make: Callable[[Path], None],
    says: str = _FILE,
    *,
    is_dangerous: bool = False,
) -> HostileFile:
    def build(folder: Path, model: ModelProto) -> None:
        write(folder, model)
        make(folder / _FILE)

    attempt = Attempt(command=_VERIFY, says=says)
    return HostileFile(
        name=name, tries=tries, build=build, attempts=(attempt,), is_dangerous=is_dangerous
    )


def _save(x: Any, y: Any = _CLASSES) -> Callable[[Path], None]:  # noqa: ANN401 - whatever it is
    return lambda path: np.savez_compressed(path, x=x, y=y)


def _render(array: Any) -> bytes:  # noqa: ANN401 - whatever it is
    stream = BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _render_header(shape: tuple[int, ...], kind: str) -> bytes:
    """What stands before the numbers of such an array."""
    stream = BytesIO()
    header = {"descr": np.dtype(kind).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


def _pack_two(x: bytes, y: bytes, method: int = zipfile.ZIP_DEFLATED) -> Callable[[Path], None]:
    return _pack([("x.npy", x), ("y.npy", y)], method)


def _pack(
    members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
            warnings.simplefilter("ignore")  # of two members of one name
            for name, content in members:
                archive.writestr(name, content)

    return make


def _lie(path: Path) -> None:
    """The archive's directory says of x that it is smaller than what it expands to."""
    x = _render_header((_COUNT, 28, 28), "u1") + bytes(2**26)
    _pack_two(x, _render(_CLASSES))(path)
    content = path.read_bytes()
    true, false = len(x), len(_render(_IMAGES))
    path.write_bytes(content.replace(true.to_bytes(4, "little"), false.to_bytes(4, "little")))


def _encrypt(path: Path) -> None:
    """The first bit of each member's flags."""
    _save(_IMAGES)(path)
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + offset] |= 1
            place = content.find(mark, place + 1)
    path.write_bytes(content)


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(_Executes()))


def _cut(path: Path) -> None:
    np.savez(path, x=_IMAGES, y=_CLASSES)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _damage(path: Path) -> None:
    np.savez(path, x=_IMAGES, y=_CLASSES)
    content = bytearray(path.read_bytes())
    content[1000] ^= 0xFF
    path.write_bytes(content)


class _Executes:
    """Unpickled, it writes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("unpickled"),)


def _set(array: Any, value: float) -> Any:  # noqa: ANN401 - arrays of any type
    changed = array.copy()
    changed.flat[-1] = value
    return changed


CASES: tuple[HostileFile, ...] = (
    _refuse(
        "npz-of-objects", "to be unpickled", _save(np.array([_Executes()] * _COUNT)),
        "Python objects",
    ),
    _refuse(
        "npz-that-is-a-pickle", "to be unpickled whole",
        _pickle,
    ),
    _refuse(
        "npz-with-a-pickled-member", "to be unpickled",
        _pack_two(pickle.dumps(_Executes()), _render(_CLASSES)),
    ),
    _refuse(
        "npz-declaring-2-to-the-40", "to have a terabyte set aside",
        _pack_two(_render_header((2**40, 28, 28), "u1"), _render_header((2**40,), "i8")),
        "which does not fit its size", is_dangerous=True,
    ),
    _refuse(
        "npz-of-a-negative-shape", "to compute a size that fits",
        _pack_two(_render_header((-4, -28, 28), "u1") + bytes(_IMAGES.size), _render(_CLASSES)),
        "which does not fit its size",
    ),
    _refuse(
        "npz-of-67-million-classes", "to fill memory with classes",
        _save(np.zeros((2**26, 1, 1), np.uint8), np.zeros(2**26, np.uint8)), "67108864",
        is_dangerous=True,
    ),
    _refuse(
        "npz-of-huge-images", "to fill memory with one image",
        _save(np.zeros((1, 10_000, 10_000), np.uint8), _CLASSES[:1]), "10000",
    ),
    _refuse("npz-that-expands-beyond-its-size", "to fill memory", _lie, "CRC"),
    _refuse(
        "npz-with-a-header-of-16-megabytes", "to fill memory with a header",
        _pack_two(b"\x93NUMPY\x02\x00" + (2**24).to_bytes(4, "little") + bytes(2**24), b""),
        "of the format",
    ),
    _refuse(
        "npz-compressed-with-lzma", "to expand without a bound",
        _pack_two(_render(_IMAGES), _render(_CLASSES), zipfile.ZIP_LZMA), "compressed in a way",
    ),
    _refuse("npz-encrypted", "to ask for a password", _encrypt),
    _refuse(
        "npz-with-two-x", "to show each reader another one",
        _pack([("x.npy", _render(_IMAGES)), ("x.npy", _render(_IMAGES + 1)),
               ("y.npy", _render(_CLASSES))]),
        "2 times",
    ),
    _refuse("npz-without-y", "to be incomplete", _pack([("x.npy", _render(_IMAGES))]), "y.npy 0"),
    _refuse("npz-cut", "to be incomplete", _cut),
    _refuse("npz-damaged", "to hide damage", _damage),
    _refuse(
        "npz-by-columns", "to be read in another order", _save(np.asfortranarray(_IMAGES)),
        "ascontiguousarray",
    ),
    _refuse("npz-of-other-byte-order", "to be misread", _save(_INPUTS.astype(">f4")), "float32"),
    _refuse("npz-of-doubles", "to be misread", _save(_INPUTS.astype(np.float64)), "float64"),
    _refuse("npz-of-empty-images", "to divide by nothing", _save(_IMAGES[:, :0]), "0, 28"),
    _refuse("npz-of-nan", "to pass for forgotten", _save(_set(_INPUTS, np.nan)), "not finite"),
    _refuse("npz-of-infinity", "to pass for forgotten", _save(_set(_INPUTS, np.inf)), "not finite"),
    _refuse("npz-of-fractional-classes", "to be cut", _save(_IMAGES, _CLASSES / 1), "float64"),
    _refuse("npz-of-negative-classes", "to count from the end", _save(_IMAGES, -_CLASSES), "-3"),
    _refuse(
        "npz-of-wrapping-classes", "to wrap to a negative one",
        _save(_IMAGES, np.full(_COUNT, 2**64 - 1, np.uint64)), "18446744073709551615",
    ),
    _refuse("npz-of-too-few-classes", "to shift them", _save(_IMAGES, _CLASSES[1:]), "4 samples"),
)  # fmt: skip
