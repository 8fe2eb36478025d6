"""Edits of patches: of the manifest, the streams, and the container around them."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import zstandard

from support.fuzzing.draw import FLOATS, INTEGERS, TEXTS, toss
from support.fuzzing.octets import EDITS as BYTE_EDITS

Json = Any  # a document that may hold anything
_LENGTH = struct.Struct("<Q")
_BOMB = bytes(2**26)
_KINDS = ("copy", "delta", "sum", "insert", "move", "", None)
_ODD: tuple[Json, ...] = (None, True, [], {}, [[]], "all", 1.5, 2**64, 10**400, "a" * 64, "0" * 64)


@dataclass(slots=True, kw_only=True)
class Parts:
    """A patch taken apart, to be changed: header, manifest, and streams, unpacked."""

    header: Json
    manifest: Json
    streams: dict[str, bytes]


PatchEdit = Callable[[Parts, Random], None]


def make_patch(content: bytes, chance: Random) -> bytes:
    """A patch changed in a few places; lengths and places in the file are right but for chance."""
    parts = take_apart(content)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 4))):
        chance.choice(EDITS)(parts, chance)
    made = put_together(parts, chance)
    for _ in range(chance.choice((0, 0, 0, 1, 3))):
        made = chance.choice(BYTE_EDITS)(made, chance)
    return made


def take_apart(content: bytes) -> Parts:
    """The parts of a good patch."""
    (size,) = _LENGTH.unpack_from(content)
    start = _LENGTH.size + size
    header = json.loads(content[_LENGTH.size : start])
    metadata = header.pop("__metadata__")
    streams = {
        name: zstandard.ZstdDecompressor().decompressobj().decompress(
            content[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]]
        )
        for name, entry in header.items()
    }  # fmt: skip
    return Parts(header=metadata, manifest=json.loads(metadata["manifest"]), streams=streams)


def put_together(parts: Parts, chance: Random) -> bytes:
    """The patch's bytes: streams compressed at any level, and some of them damaged after it."""
    header = {"__metadata__": parts.header}
    if isinstance(parts.header, dict) and "manifest" in parts.header:
        parts.header["manifest"] = json.dumps(parts.manifest)
    body = b""
    for name, stream in parts.streams.items():
        packed = _compress(stream, chance)
        if toss(chance, 0.05):
            packed = chance.choice(BYTE_EDITS)(packed, chance)
        offsets = [len(body), len(body) + len(packed)]
        header[name] = {"dtype": "U8", "shape": [len(packed)], "data_offsets": offsets}
        body += packed
    if toss(chance, 0.15):
        change_json(header, chance)
    text = json.dumps(header).encode("utf-8", "replace")
    size = chance.choice((*INTEGERS, len(text) - 1)) if toss(chance, 0.05) else len(text)
    return _LENGTH.pack(size % 2**64) + text + body


def change_json(document: Json, chance: Random) -> None:
    """One value anywhere: gone, repeated, of another type, or at the end of its range."""
    place = _draw_place(document, chance)
    if place is None:
        return
    container, key = place
    match chance.randrange(4):
        case 0:
            del container[key]
        case 1 if isinstance(container, list):
            container.extend([container[key]] * chance.choice((1, 2, 10_000)))
        case 2:
            container[key] = chance.choice((*INTEGERS, *FLOATS, *TEXTS))
        case _:
            container[key] = chance.choice(_ODD)


def change_manifest(parts: Parts, chance: Random) -> None:
    """Anything in the manifest."""
    change_json(parts.manifest, chance)


def change_piece(parts: Parts, chance: Random) -> None:
    """One piece of the result."""
    pieces = _find_pieces(parts)
    if not pieces:
        return
    piece = chance.choice(pieces)
    if not isinstance(piece, list) or not piece:
        return
    place = chance.randrange(len(piece))
    if place:
        near = (piece[place] or 0) + chance.choice((-1, 1, 4)) if _is_number(piece[place]) else 0
        piece[place] = chance.choice((near, near, *INTEGERS))
    else:
        piece[0] = chance.choice(_KINDS)


def split_piece(parts: Parts, chance: Random) -> None:
    """The same result in more pieces: it must still come out right."""
    pieces = _find_pieces(parts)
    places = [
        index
        for index, piece in enumerate(pieces)
        if isinstance(piece, list)
        and len(piece) > 3
        and piece[0] == "copy"
        and all(map(_is_number, piece[1:4]))
        and piece[1] > 1
    ]
    for index in sorted(chance.sample(places, min(len(places), 3)), reverse=True):
        kind, size, source, offset, *rest = pieces[index]
        first = chance.randrange(1, min(size, 2**40))
        second = [kind, size - first, source, offset + first, *rest]
        pieces[index : index + 1] = [[kind, first, source, offset, *rest], second]


def drop_piece(parts: Parts, chance: Random) -> None:
    """Fewer pieces, or in another order, or many of them."""
    pieces = _find_pieces(parts)
    if not pieces:
        return
    match chance.randrange(3):
        case 0:
            del pieces[chance.randrange(len(pieces))]
        case 1:
            chance.shuffle(pieces)
        case 2:
            pieces.extend([chance.choice(pieces)] * chance.choice((1, 10, 20_000)))


def change_stream(parts: Parts, chance: Random) -> None:
    """What a stream holds, how much of it, or its name."""
    if not parts.streams:
        return
    name = chance.choice(sorted(parts.streams))
    stream = parts.streams[name]
    match chance.randrange(5):
        case 0:
            parts.streams[name] = chance.choice(BYTE_EDITS)(stream, chance)
        case 1:
            parts.streams[chance.choice(("insert", "delta4.0", "sum.1", *TEXTS))] = stream
        case 2:
            del parts.streams[name]
        case 3:
            parts.streams[name] = stream + _BOMB
        case 4:
            parts.streams[name] = b""


def change_header(parts: Parts, chance: Random) -> None:
    """What says that this is a patch."""
    change_json(parts.header, chance)


def _compress(stream: bytes, chance: Random) -> bytes:
    return zstandard.ZstdCompressor(
        level=chance.choice((1, 3, 9)),
        write_checksum=toss(chance),
        write_content_size=toss(chance),
    ).compress(stream)


def _find_pieces(parts: Parts) -> list[Json]:
    """The pieces of the first file, as far as earlier edits have left them."""
    try:
        pieces = parts.manifest["result"][0]["pieces"]
    except (KeyError, IndexError, TypeError):
        return []
    return pieces if isinstance(pieces, list) else []


def _draw_place(document: Json, chance: Random) -> tuple[Json, Any] | None:
    """A container within a document, and the key of something in it."""
    place = None
    while isinstance(document, dict | list) and document:
        keys = sorted(document) if isinstance(document, dict) else range(len(document))
        key = chance.choice(keys)
        place, document = (document, key), document[key]
        if toss(chance, 0.25):
            break
    return place


def _is_number(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


EDITS: tuple[PatchEdit, ...] = (
    change_manifest, change_manifest, change_piece, change_piece, split_piece, drop_piece,
    change_stream, change_stream, change_header,
)  # fmt: skip
