"""Pieces of a file: neighbours of one kind become one."""

from collections.abc import Iterable, Iterator

from nhle_onnx.values.patch import Piece


def join_pieces(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Join neighbouring pieces of one kind."""
    last: Piece | None = None
    for piece in pieces:
        if not piece.size:
            continue
        if last is not None and _continues(last, piece):
            last = last._replace(size=last.size + piece.size)
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last


def _continues(last: Piece, piece: Piece) -> bool:
    if last.kind != piece.kind:
        return False
    follows = (last.source, last.offset + last.size, last.width, last.exponent)
    place = (piece.source, piece.offset, piece.width, piece.exponent)
    return piece.kind == "insert" or follows == place
