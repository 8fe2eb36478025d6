"""Edits of a file's bytes, for parsers below all structure."""

from collections.abc import Callable
from random import Random

from support.fuzzing.draw import toss

ByteEdit = Callable[[bytes, Random], bytes]
_LENGTHS = (b"\xff\xff\xff\xff\x07", b"\xff" * 9 + b"\x01", b"\x80" * 10, b"\x00", b"\x7f")
_HEAD = 2000  # where a file's structure is densest


def flip(content: bytes, chance: Random) -> bytes:
    """A few bits."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8)) if content else 0):
        changed[_draw_place(content, chance)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def overwrite(content: bytes, chance: Random) -> bytes:
    """A run of bytes."""
    start = _draw_place(content, chance)
    run = chance.randbytes(chance.choice((1, 2, 4, 8, 64)))
    return content[:start] + run + content[start + len(run) :]


def truncate(content: bytes, chance: Random) -> bytes:
    """No end."""
    return content[: _draw_place(content, chance)]


def insert(content: bytes, chance: Random) -> bytes:
    """More bytes, or the same twice."""
    start = _draw_place(content, chance)
    size = chance.choice((1, 4, 64, 4096))
    more = chance.randbytes(size) if toss(chance) else content[start : start + size]
    return content[:start] + more + content[start:]


def remove(content: bytes, chance: Random) -> bytes:
    """Fewer bytes."""
    start = _draw_place(content, chance)
    return content[:start] + content[start + chance.choice((1, 4, 64, 4096)) :]


def inflate(content: bytes, chance: Random) -> bytes:
    """A byte that may be a length becomes an enormous one."""
    start = _draw_place(content, chance)
    return content[:start] + chance.choice(_LENGTHS) + content[start + 1 :]


def cross(content: bytes, chance: Random) -> bytes:
    """The start of a file and the end of it, which do not meet."""
    return content[: _draw_place(content, chance)] + content[_draw_place(content, chance) :]


def _draw_place(content: bytes, chance: Random) -> int:
    end = len(content) if toss(chance) else min(_HEAD, len(content))
    place = chance.randrange(max(end, 1))
    return len(content) - 1 - place if content and toss(chance, 0.3) else place


EDITS: tuple[ByteEdit, ...] = (flip, flip, overwrite, truncate, insert, remove, inflate, cross)
