"""Image files, decoded and resized as the preprocessing says."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import IO

from PIL import Image as Pillow

from nhle_onnx.data.pointers import is_pointer, make_refusal
from nhle_onnx.data.preprocess import MAX_PIXELS, Pixels, shape_image
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.regular_files import open_regular
from nhle_onnx.values.preprocess import ImageInput, Preprocess

_START = 64  # bytes
# A file's content decides, not its name; but Pillow's many other readers are never used.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_DEEP_MODES = ("I", "F")  # I;16 and similar modes too
_OPAQUE = frozenset({1, 3})  # channels
_SCAN = b"\xff\xda"  # within a scan, 0xff is always followed by zero or a mark of its own
_MAX_SCANS = 100  # of a JPEG; progressive ones have about ten
_MAX_SCANNED = 2**31  # pixels, in all scans together
_REMEDY = "Replace or remove this file."

# Such an image is refused, with a clearer message.
warnings.filterwarnings("ignore", category=Pillow.DecompressionBombWarning)


def decode_image(
    file: Path | str, content: Path | IO[bytes], target: ImageInput, preprocess: Preprocess
) -> Pixels:
    """Decode the `content` of an image `file`: [H, W, C or 1] in the target's size and colours.
    Raises InputRefusedError that names the file.
    """
    try:
        with _open(content) as stream:
            encoded = stream.read()
        with Pillow.open(BytesIO(encoded), formats=_FORMATS) as image:
            _check_image(image)
            _check_scans(image, encoded)
            image.load()
            if image.mode == "P" and target.channels in _OPAQUE:
                image.info.pop("transparency", None)  # otherwise Pillow warns that it will be lost
            return shape_image(image, target, preprocess)
    except InputRefusedError as error:
        raise InputRefusedError(f"{file}: {error.reason}", remedy=error.remedy) from error
    except Exception as error:  # Pillow's readers raise errors of any type
        if is_pointer(_read_start(content)):
            raise make_refusal(file) from error
        message = f"{file} cannot be decoded as an image: {str(error) or type(error).__name__}"
        raise InputRefusedError(message, remedy=_REMEDY) from error


def _read_start(content: Path | IO[bytes]) -> bytes:
    """Return the first bytes of a file; nothing if it cannot be read."""
    try:
        with _open(content) as stream:
            stream.seek(0)
            return stream.read(_START)
    except OSError:
        return b""


def _open(content: Path | IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    return open_regular(content) if isinstance(content, Path) else nullcontext(content)


def _check_image(image: Pillow.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        message = f"an image of {image.width}x{image.height} pixels is too large"
        raise InputRefusedError(message, remedy=_REMEDY)
    if image.mode.startswith(_DEEP_MODES):
        message = "its pixels have more than 8 bits, which preprocessing does not cover"
        raise InputRefusedError(message, remedy="Give 8-bit images.")


def _check_scans(image: Pillow.Image, encoded: bytes) -> None:
    """Refuse a JPEG with so many scans that decoding it takes minutes."""
    scans = encoded.count(_SCAN) if image.format == "JPEG" else 0
    if scans > _MAX_SCANS or scans * image.width * image.height > _MAX_SCANNED:
        message = f"it is encoded in {scans:,} scans of {image.width}x{image.height} pixels"
        raise InputRefusedError(message, remedy="Save it again, as a plain JPEG or PNG.")
