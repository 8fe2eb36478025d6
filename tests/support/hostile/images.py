"""Image files that try something."""

import json
import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from onnx import ModelProto
from PIL import Image

from support.hostile.case import MODEL, Attempt, HostileFile, write

VERIFY = ("verify", f"{{folder}}/{MODEL}", "--forget", "3", "--quiet", "--data", "{folder}/data")
_SCALED = (*VERIFY, "--mean", "0.286", "--std", "0.353")
_DESCRIBED = (*VERIFY, "--preprocess", "{folder}/preprocessor_config.json")
_EXTENT = 28
_FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "bmp": "BMP"}

Put = Callable[[Path], None]  # writes what stands at a path


def _refuse(
    name: str,
    tries: str,
    put: Put,
    says: str,
    *,
    file: str = "victim.png",
    is_dangerous: bool = False,
) -> HostileFile:
    """A file beside a good image, of the class that was forgotten."""

    def build(folder: Path, model: ModelProto) -> None:
        write(folder, model)
        of_class = folder / "data" / "3"
        of_class.mkdir(parents=True)
        _draw().save(of_class / "good.png")
        put(of_class / file)

    attempt = Attempt(command=_SCALED, says=says)
    return HostileFile(
        name=name, tries=tries, build=build, attempts=(attempt,), is_dangerous=is_dangerous
    )


def _draw() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (_EXTENT, _EXTENT), dtype=np.uint8)
    return Image.fromarray(noise)


def _encode(image_format: str) -> bytes:
    stream = BytesIO()
    _draw().convert("RGB").save(stream, image_format)
    return stream.getvalue()


def _make_png(width: int, height: int, *, rows: bool = False) -> bytes:
    """A black-and-white PNG that declares this size; its pixels are there only if `rows`."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = bytes((1 + (width + 7) // 8) * height) if rows else b"\0"
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def _put(content: bytes) -> Put:
    def put(path: Path) -> None:
        path.write_bytes(content)

    return put


def _cut(image_format: str, share: float) -> Put:
    content = _encode(image_format)
    return _put(content[: int(len(content) * share)])


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def _save(make: Callable[[], Image.Image], image_format: str) -> Put:
    def put(path: Path) -> None:
        make().save(path, image_format)

    return put


def _build_thin(folder: Path, model: ModelProto) -> None:
    """Two million pixels in a row, which a shorter side of 28 makes 1.5 billion."""
    write(folder, model)
    (folder / "data" / "3").mkdir(parents=True)
    (folder / "data" / "3" / "thin.png").write_bytes(_make_png(2_000_000, 1, rows=True))
    size = {"height": _EXTENT, "width": _EXTENT}
    described = {
        "size": {"shortest_edge": _EXTENT}, "do_center_crop": True, "crop_size": size,
        "image_mean": [0.286], "image_std": [0.353],
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(described), "utf-8")


_UNDECODED = "cannot be decoded as an image"
CASES: tuple[HostileFile, ...] = (
    _refuse(
        "png-of-2500-megapixels", "to take 2.5 GB when decoded", _put(_make_png(50_000, 50_000)),
        _UNDECODED, is_dangerous=True,
    ),
    _refuse(
        "png-of-100-megapixels", "to pass as a mere warning", _put(_make_png(10_000, 10_000)),
        "10000x10000 pixels is too large", is_dangerous=True,
    ),
    HostileFile(
        name="png-out-of-proportion", tries="to grow when it is resized", build=_build_thin,
        attempts=(Attempt(command=_DESCRIBED, says="is too large"),), is_dangerous=True,
    ),
    *(
        _refuse(
            f"{suffix}-cut-{when}", "to pass half an image off",
            _cut(image_format, share), _UNDECODED, file=f"victim.{suffix}",
        )
        for suffix, image_format in _FORMATS.items()
        for when, share in (("early", 0.2), ("late", 0.8))
    ),
    _refuse("png-with-a-flipped-bit", "to hide damage", _put(_flip(_encode("PNG"))), _UNDECODED),
    _refuse("text-named-png", "to be no image", _put(b"no image\n" * 99), _UNDECODED),
    _refuse("empty-png", "to be nothing", _put(b""), _UNDECODED),
    _refuse(
        "postscript-named-png", "to have an interpreter started",
        _put(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\nshowpage\n"),
        _UNDECODED,
    ),
    _refuse("tiff-named-png", "to reach another decoder", _save(_draw, "TIFF"), _UNDECODED),
    _refuse(
        "png-of-16-bits", "to be clipped to white",
        _save(lambda: Image.fromarray(np.full((_EXTENT, _EXTENT), 9000, np.uint16)), "PNG"),
        "more than 8 bits",
    ),
    _refuse("folder-named-png", "to be read as a file", Path.mkdir, "not a regular file"),
    _refuse(
        "pipe-named-png", "to block for ever", os.mkfifo, "not a regular file", is_dangerous=True
    ),
    _refuse(
        "link-to-itself", "to be followed for ever", lambda path: path.symlink_to(path.name),
        "not a regular file",
    ),
    _refuse(
        "link-to-a-device", "to be read for ever", lambda path: path.symlink_to("/dev/zero"),
        "not a regular file", is_dangerous=True,
    ),
    _refuse(
        "image-named-with-escapes", "to write to the terminal", _put(b""), _UNDECODED,
        file="\x1b[2J\x07victim.png",
    ),
)  # fmt: skip
