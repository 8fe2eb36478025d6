"""Good data sets of a few images in each form that is read, and changes of them."""

import io
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from support import datasets
from support.fuzzing import octets
from support.fuzzing.draw import TEXTS, toss
from support.fuzzing.seeds import MODEL, SAMPLES, Files
from support.shipped import LENET

_COUNT = 20
_BLOCK, _CHECKSUM = 512, slice(148, 156)  # of a tar's headers
# name, size, time, type, link, prefix: where a header's fields lie
_FIELDS = (slice(0, 100), slice(124, 136), slice(136, 148), slice(156, 157), slice(157, 257),
           slice(345, 500))  # fmt: skip
_NUMBERS = (b"-1", b"-0000000001", b"77777777777", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"", b"8")
_KINDS = b"0123456789LKxgSVDN\0\xff"
_SHAPES = (b"(0, 28, 28)", b"(-1, 28, 28)", b"(99999999999, 28, 28)", b"(2, 2)", b"()", b"(None,)")
_DTYPES = (b"'|O'", b"'<f8'", b"'<c16'", b"'|S9'", b"'<M8[s]'", b"'|V784'", b"'>i2'")
_SIGNATURE = 8  # bytes before a PNG's first chunk


def write_data_seeds(folder: Path) -> None:
    """Write a folder for each part, with good data sets beside a good model."""
    samples = datasets.read_samples(_COUNT)
    for part, forms in _FORMS.items():
        for name, files in forms(samples).items():
            seed = folder / part / name
            for file, content in {**files, MODEL: LENET.read_bytes()}.items():
                (seed / file).parent.mkdir(parents=True, exist_ok=True)
                (seed / file).write_bytes(content)


def change_data(part: str, files: Files, chance: Random) -> dict[str, bytes]:
    """Change a file or a few."""
    edits: Sequence[octets.ByteEdit] = _CHANGES[part] if toss(chance) else octets.EDITS
    changed = dict(files)
    for name in chance.sample(sorted(files), min(len(files), chance.choice((1, 1, 3)))):
        changed[name] = chance.choice(edits)(files[name], chance)
    return changed


def change_header(content: bytes, chance: Random) -> bytes:
    """Change a field of one of a tar's headers, whose checksum then holds."""
    starts = [
        at for at in range(0, len(content), _BLOCK) if content[at + 257 : at + 262] == b"ustar"
    ]
    if not starts:
        return content
    start, field = chance.choice(starts), chance.choice(_FIELDS)
    size = field.stop - field.start
    values = {1: [bytes([kind]) for kind in _KINDS], 12: list(_NUMBERS)}
    texts = [text.encode("utf-8", "replace") for text in (*TEXTS, "a/" * 49)]
    value = chance.choice(values.get(size, texts))[:size].ljust(size, b"\0")
    header = bytearray(content[start : start + _BLOCK])
    header[field] = value
    header[_CHECKSUM] = b" " * 8
    header[_CHECKSUM] = f"{sum(header):06o}\0 ".encode()
    return content[:start] + bytes(header) + content[start + _BLOCK :]


def change_array(content: bytes, chance: Random) -> bytes:
    """Change an array within a zip, whose checksum then holds."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        arrays = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(arrays))
    edit = chance.choice((_change_shape, _change_dtype, *octets.EDITS))
    arrays[name] = edit(arrays[name], chance)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in arrays.items():
            archive.writestr(key, value)
    return stream.getvalue()


def _change_shape(content: bytes, chance: Random) -> bytes:
    return _replace(content, b"'shape': (", b")", b"'shape': " + chance.choice(_SHAPES))


def _change_dtype(content: bytes, chance: Random) -> bytes:
    return _replace(content, b"'descr': '", b"'", b"'descr': " + chance.choice(_DTYPES))


def _replace(content: bytes, start: bytes, end: bytes, new: bytes) -> bytes:
    """Replace a field of an array's header, whose length stays."""
    first = content.find(start)
    last = content.find(end, first + len(start)) + len(end)
    newline = content.find(b"\n", last)
    if -1 in {first, newline}:
        return content
    header = content[:first] + new + content[last:newline].rstrip()
    return header.ljust(newline) + content[newline:]


def change_chunk(content: bytes, chance: Random) -> bytes:
    """Change one of a PNG's chunks, whose checksum then holds; of others, some bytes."""
    if not content.startswith(b"\x89PNG"):
        return octets.overwrite(content, chance)
    chunks, place = [], _SIGNATURE
    while place + 12 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + size]))
        place += 12 + size
    index = chance.randrange(len(chunks))
    kind, body = chunks[index]
    chunks[index] = kind, chance.choice(octets.EDITS)(body, chance)
    packed = (
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
        for kind, body in chunks
    )  # fmt: skip
    return content[:_SIGNATURE] + b"".join(packed)


def _write_tars(samples: list[datasets.Sample]) -> dict[str, Files]:
    return {
        "webdataset": {SAMPLES["tars"]: _read(lambda at: datasets.write_tars(at, samples, 1))},
        "classes": {SAMPLES["tars"]: _read(lambda at: datasets.write_class_tar(at, samples))},
    }


def _write_parquets(samples: list[datasets.Sample]) -> dict[str, Files]:
    forms = {
        "struct": lambda at: datasets.write_parquet(at, samples, 1),
        "text": lambda at: datasets.write_text_parquet(at, samples),
    }
    return {name: {SAMPLES["parquets"]: _read(write)} for name, write in forms.items()}


def _write_arrays(samples: list[datasets.Sample]) -> dict[str, Files]:
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(content))) for content, _ in samples])
    classes = np.array([label for _, label in samples])
    kinds = {"bytes": pixels, "floats": (pixels[:, None] / 255).astype(np.float32)}
    return {name: {SAMPLES["arrays"]: _pack(x, classes)} for name, x in kinds.items()}


def _write_images(samples: list[datasets.Sample]) -> dict[str, Files]:
    kinds = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
    return {
        kind.lower(): {
            f"{SAMPLES['images']}/{label}/{index:02}.{kind.lower()}": _convert(content, kind)
            for index, (content, label) in enumerate(samples)
        }
        for kind in kinds
    }


def _convert(content: bytes, kind: str) -> bytes:
    stream = io.BytesIO()
    Image.open(io.BytesIO(content)).save(stream, kind)
    return stream.getvalue()


def _pack(x: np.ndarray, y: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, x=x, y=y)
    return stream.getvalue()


def _read(write: Callable[[Path], Path]) -> bytes:
    """Read the one file that a writer makes."""
    with tempfile.TemporaryDirectory() as name:
        made = write(Path(name))
        return (made if made.is_file() else next(made.iterdir())).read_bytes()


_FORMS: Mapping[str, Callable[[list[datasets.Sample]], dict[str, Files]]] = {
    "tars": _write_tars,
    "parquets": _write_parquets,
    "arrays": _write_arrays,
    "images": _write_images,
}
_CHANGES: Mapping[str, Sequence[octets.ByteEdit]] = {
    "tars": (change_header,),
    "parquets": octets.EDITS,  # whose footer has no checksum
    "arrays": (change_array,),
    "images": (change_chunk,),
}
