"""Making a patch: which parts of the result are in the base, and which are new."""

import hashlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

import numpy as np
from onnx import TensorProto

from nhle_onnx.graph.index_ranges import find_ranges
from nhle_onnx.release.patch.delta_policy import (
    FEW,
    find_exponent,
    find_twins,
    may_differ,
    split_rows,
)
from nhle_onnx.release.patch.differences import count_common, split_counts, split_differences
from nhle_onnx.release.patch.layout import Stored, group_by_file, is_like, list_gaps
from nhle_onnx.release.patch.pieces import join_pieces
from nhle_onnx.values.patch import MadeFile, PatchedFile, PatchedTensor, Piece

Rows = tuple[tuple[int, int], ...] | Literal["all"]

_HELD = {"delta": "delta", "sum": "sum", "insert": "new values"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """A model's files by name, the model itself first, and where its tensors lie.

    Tensors in the .onnx file itself have the file name "".
    """

    contents: Mapping[str, bytes]
    tensors: tuple[Stored, ...]

    @property
    def main(self) -> str:
        """The name of the .onnx file."""
        return next(iter(self.contents))

    def read(self, tensor: Stored) -> bytes:
        """Read a tensor's bytes."""
        content = self.contents[tensor.file or self.main]
        return content[tensor.start : tensor.start + tensor.size]


class Streams:
    """A patch's content by stream, in the order in which it is used."""

    def __init__(self) -> None:
        self._contents: dict[str, bytearray] = {}

    def append(self, name: str, content: bytes) -> None:
        """Add to a stream."""
        self._contents.setdefault(name, bytearray()).extend(content)

    def read_all(self) -> dict[str, bytes]:
        """Return every stream that is not empty."""
        return {name: bytes(content) for name, content in self._contents.items() if content}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the result is made from the base, and the bytes that this needs."""

    base: tuple[PatchedFile, ...]
    result: tuple[MadeFile, ...]
    tensors: tuple[PatchedTensor, ...]
    streams: Mapping[str, bytes]


def make_recipe(
    base: ModelFiles,
    result: ModelFiles,
    *,
    deltas: bool = True,
    features: AbstractSet[str] | None = None,
) -> Recipe:
    """Compare two models tensor by tensor. Without `deltas`, all changes are new values; so are
    those of tensors outside of `features`, if these are given.
    """
    author = _Author(base, result, deltas=deltas, features=features)
    made = tuple(author.describe(name) for name in result.contents)
    return Recipe(
        base=tuple(_describe_file(name, content) for name, content in base.contents.items()),
        result=made,
        tensors=tuple(author.changed),
        streams=author.streams.read_all(),
    )


def _describe_file(name: str, content: bytes) -> PatchedFile:
    return PatchedFile(
        name=name, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content)
    )


class _Author:
    """Describes the result's files from start to end."""

    def __init__(
        self,
        base: ModelFiles,
        result: ModelFiles,
        *,
        deltas: bool,
        features: AbstractSet[str] | None,
    ) -> None:
        self.streams = Streams()
        self.changed: list[PatchedTensor] = []
        self._base, self._result, self._deltas = base, result, deltas
        self._features = features
        self._sources = {name: index for index, name in enumerate(base.contents)}
        self._old = {tensor.name: tensor for tensor in base.tensors}
        self._gaps = {
            tensor.name: gap
            for name, tensors in group_by_file(base.tensors).items()
            for tensor, gap in zip(tensors, list_gaps(tensors), strict=False)
        }

    def describe(self, name: str) -> MadeFile:
        """Describe one file of the result."""
        content = self._result.contents[name]
        key = "" if name == self._result.main else name
        tensors = group_by_file(self._result.tensors).get(key, [])
        pieces: list[Piece] = []
        end = 0
        for tensor in tensors:
            pieces += self._describe_gap(tensor, content[end : tensor.start])
            pieces += self._describe_tensor(tensor)
            end = tensor.start + tensor.size
        pieces += self._describe_tail(name, content[end:])
        described = _describe_file(name, content)
        return MadeFile(**described.model_dump(), pieces=tuple(join_pieces(pieces)))

    def _describe_gap(self, tensor: Stored, gap: bytes) -> Iterator[Piece]:
        """Describe the bytes before a tensor, which are mostly those before it in the base."""
        old = self._old.get(tensor.name)
        if old is None:
            yield from self._insert(gap)
            return
        start, end = self._gaps.get(tensor.name, (old.start, old.start))
        yield from self._describe_bytes(gap, self._name(old), start, end)

    def _describe_tail(self, name: str, tail: bytes) -> Iterator[Piece]:
        base = self._base
        source = base.main if name == self._result.main else name
        if source not in base.contents:
            source = next((key for key in base.contents if key != base.main), base.main)
        content = base.contents[source]
        key = "" if source == base.main else source
        last = group_by_file(base.tensors).get(key, [])
        start = last[-1].start + last[-1].size if last else 0
        yield from self._describe_bytes(tail, source, start, len(content))

    def _describe_bytes(self, new: bytes, source: str, start: int, end: int) -> Iterator[Piece]:
        """Describe new bytes in place of the base's from `start` to `end`; most share both ends."""
        old = self._base.contents[source][start:end]
        head = count_common(new, old)
        tail = count_common(new[head:][::-1], old[head:][::-1])
        yield self._copy(source, start, head)
        yield from self._insert(new[head : len(new) - tail])
        yield self._copy(source, end - tail, tail)

    def _describe_tensor(self, tensor: Stored) -> Iterator[Piece]:
        new = self._result.read(tensor)
        old_place = self._old.get(tensor.name)
        old = self._base.read(old_place) if old_place else None
        if old_place is None or old is None or not is_like(old_place, tensor):
            self._note(tensor, new, "all", {"insert"})
            yield from self._insert(new)
            return
        if new == old:
            yield self._copy(self._name(old_place), old_place.start, tensor.size)
            return
        deltas = self._deltas and (self._features is None or tensor.name in self._features)
        rows = split_rows(tensor, old, new)
        changed = [index for index, row in enumerate(rows) if old[slice(*row)] != new[slice(*row)]]
        skips = len(changed) < FEW * len(rows)  # otherwise a row without differences is smaller
        exponent = find_exponent(tensor, old, new, rows) if deltas else None
        kinds: set[str] = set()
        twins = find_twins(tensor, new, rows)
        for start, end in rows:
            was, now = old[start:end], new[start:end]
            if was == now and (skips or not deltas):
                yield self._copy(self._name(old_place), old_place.start + start, end - start)
            elif deltas and may_differ(tensor, was, now, rows, twins):
                piece = self._differ(old_place, start, (was, now), exponent)
                kinds.add(piece.kind)
                yield piece
            else:
                kinds.add("insert")
                yield from self._insert(now)
        runs: Rows = find_ranges(changed) if len(changed) < len(rows) else "all"
        self._note(tensor, new, runs, kinds)

    def _name(self, tensor: Stored) -> str:
        return tensor.file or self._base.main

    def _copy(self, source: str, offset: int, size: int) -> Piece:
        return Piece("copy", size, self._sources[source], offset)

    def _insert(self, content: bytes) -> Iterator[Piece]:
        self.streams.append("insert", content)
        yield Piece("insert", len(content))

    def _differ(
        self, place: Stored, start: int, words: tuple[bytes, bytes], exponent: int | None
    ) -> Piece:
        """Describe changes of words, in steps where all differences are whole steps."""
        was, now = words
        source = self._sources[self._name(place)]
        if exponent is None:
            for index, part in enumerate(split_differences(was, now, place.width)):
                self.streams.append(f"delta{place.width}.{index}", part)
            return Piece("delta", len(now), source, place.start + start, place.width)
        old, new = (np.frombuffer(each, "<f4").astype(np.float64) for each in words)
        counts = np.rint((new - old) * 2.0**-exponent).astype(np.int32)
        for index, part in enumerate(split_counts(counts)):
            self.streams.append(f"sum.{index}", part)
        return Piece("sum", len(now), source, place.start + start, exponent=exponent)

    def _note(
        self,
        tensor: Stored,
        new: bytes,
        rows: Rows,
        kinds: AbstractSet[str],
    ) -> None:
        held = "several" if len(set(kinds)) > 1 else _HELD[next(iter(kinds))]
        self.changed.append(
            PatchedTensor.model_validate(
                {
                    "name": tensor.name,
                    "dtype": TensorProto.DataType.Name(tensor.kind).lower(),
                    "shape": tensor.shape,
                    "rows": rows,
                    "encoding": held,
                    "after": hashlib.sha256(new).hexdigest(),
                }
            )
        )
