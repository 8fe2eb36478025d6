"""Reading weights from the files beside a model: each byte once, and for one tensor only."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from onnx import ModelProto, TensorProto

from nhle_onnx.graph.external import CHECKSUM, is_external, make_checksum, read_place
from nhle_onnx.graph.regular_files import find_real_name, open_sidecar
from nhle_onnx.graph.tensor_sizes import count_bytes
from nhle_onnx.graph.traversal import list_all_tensors
from nhle_onnx.values.model import Place

_CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A sidecar that was read. Its digest is of the same read as the tensors' bytes.

    `real_name` is its name in the folder where the model's file lies. `holds_more`: some bytes that
    belong to no tensor are not zero.
    """

    size_bytes: int
    sha256: str
    real_name: str
    holds_more: bool


def inline_weights(proto: ModelProto, model: Path, max_bytes: int) -> dict[str, Sidecar]:
    """Move weights from files in the model's folder into `proto`, and return the files by location.

    Raises ValueError or OSError for files that do not fit the model, or that exceed `max_bytes`.
    """
    groups: dict[str, list[tuple[Place, TensorProto]]] = {}
    for tensor in list_all_tensors(proto):
        if is_external(tensor):
            place = read_place(tensor)
            groups.setdefault(place.location, []).append((place, tensor))
    if len({PurePosixPath(location) for location in groups}) < len(groups):
        raise ValueError("one file is named in two ways")
    return {
        location: _read_sidecar(model, location, group, max_bytes)
        for location, group in groups.items()
    }


def _read_sidecar(
    model: Path, location: str, group: Sequence[tuple[Place, TensorProto]], max_bytes: int
) -> Sidecar:
    real_name = find_real_name(model, location)
    with open_sidecar(model.resolve().parent, real_name) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > max_bytes:
            raise ValueError(f"{location} has {size:,} bytes: more than {max_bytes:,}")
        digest = hashlib.sha256()
        stated = {value for place, _ in group for key, value in place.entries if key == CHECKSUM}
        checksum = make_checksum()
        reader = _HashingReader(stream, [digest, checksum] if stated else [digest])
        for place, tensor in sorted(group, key=lambda each: each[0].offset):
            length = _measure_length(place, tensor, reader.position, size)
            reader.skip(place.offset - reader.position)
            tensor.raw_data = reader.read(length)
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
        reader.skip(size - reader.position)
    if not stated <= {checksum.hexdigest()}:
        raise ValueError(f"{location} does not have the checksum that the model states")
    return Sidecar(
        size_bytes=size,
        sha256=digest.hexdigest(),
        real_name=real_name,
        holds_more=reader.has_skipped,
    )


def _measure_length(place: Place, tensor: TensorProto, end: int, size: int) -> int:
    """Return how many bytes of a file of `size` bytes a tensor takes; other tensors end at `end`.
    Raises ValueError where this does not fit the tensor's shape or the file.
    """
    expected = count_bytes(tensor)
    length = size - place.offset if place.length is None else place.length
    if place.offset + length > size or length < 0:
        message = f"{tensor.name} ends beyond the end of {place.location}, of {size:,} bytes"
        raise ValueError(message)
    if length != expected:
        raise ValueError(f"{tensor.name} takes {expected:,} bytes by its shape, but has {length:,}")
    if place.offset < end and length:
        raise ValueError(f"{tensor.name} shares bytes of {place.location} with another tensor")
    return length


class _HashingReader:
    """Reads a file from start to end, and hashes all of it."""

    def __init__(self, stream: BinaryIO, hashes: Sequence["hashlib._Hash"]) -> None:
        self._stream, self._hashes = stream, hashes
        self.position = 0
        self.has_skipped = False  # anything but zeros

    def read(self, size: int) -> bytes:
        """Return the next bytes. Raises ValueError if fewer are left."""
        content = self._stream.read(size)
        if len(content) < size:
            raise ValueError("it became shorter while being read")
        for each in self._hashes:
            each.update(content)
        self.position += size
        return content

    def skip(self, size: int) -> None:
        """Skip bytes that belong to no tensor."""
        for start in range(0, size, _CHUNK_BYTES):
            self.has_skipped |= any(self.read(min(_CHUNK_BYTES, size - start)))
