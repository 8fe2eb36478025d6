"""Where each tensor's numbers lie in a model's files.

Reads ONNX's wire format directly, as protobuf does not give positions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.external import is_external, read_place
from nhle_onnx.graph.tensor_sizes import count_bytes
from nhle_onnx.values.patch import Width

_GRAPH = ModelProto.GRAPH_FIELD_NUMBER
_NODE = GraphProto.NODE_FIELD_NUMBER
_INITIALIZER = GraphProto.INITIALIZER_FIELD_NUMBER
_ATTRIBUTE = NodeProto.ATTRIBUTE_FIELD_NUMBER
_TENSOR = AttributeProto.T_FIELD_NUMBER
_RAW = TensorProto.RAW_DATA_FIELD_NUMBER
_WIDTHS: Mapping[int, Width] = {1: 1, 2: 2, 4: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The place of a tensor's numbers: `size` bytes of a file from `start`."""

    name: str
    kind: int
    shape: tuple[int, ...]
    file: str
    start: int
    size: int

    @property
    def width(self) -> Width:
        """Bytes of one number; 1 for narrower types."""
        return _WIDTHS.get(helper.tensor_dtype_to_np_dtype(self.kind).itemsize, 1)


def list_stored(path: Path, content: bytes) -> tuple[Stored, ...]:
    """List tensors stored as plain bytes, in the model's file (named "") or beside it.

    Raises InputRefusedError for a file with an encoding that no converter uses.
    """
    proto = onnx.load_from_string(content)
    tensors = _collect_tensors(proto)
    try:
        found = [*_find_raw(memoryview(content))]
    except (ValueError, IndexError) as error:
        raise _unusual(path) from error
    inside = [tensor for tensor in tensors if tensor[1].HasField("raw_data")]
    if len(inside) != len(found):
        raise _unusual(path)
    outside = [_locate(tensor) for _, tensor in tensors if is_external(tensor)]
    described = [
        Stored(
            name=name,
            kind=tensor.data_type,
            shape=tuple(tensor.dims),
            file="",
            start=start,
            size=size,
        )
        for (name, tensor), (start, size) in zip(inside, found, strict=True)
    ]
    return tuple(each for each in (*described, *outside) if each.size)


def _unusual(path: Path) -> InputRefusedError:
    message = f"{path} has an unusual encoding, in which its tensors cannot be located"
    return InputRefusedError(message, remedy="Load and save it with onnx, and start from that.")


def _collect_tensors(proto: ModelProto) -> list[tuple[str, TensorProto]]:
    """Collect tensors with the names that nodes use, in the order of the file."""
    in_nodes = [
        (node.output[0] if node.output else "", attribute.t)
        for node in proto.graph.node
        for attribute in node.attribute
        if attribute.HasField("t")
    ]
    return [*in_nodes, *((tensor.name, tensor) for tensor in proto.graph.initializer)]


def _locate(tensor: TensorProto) -> Stored:
    place = read_place(tensor)
    return Stored(
        name=tensor.name,
        kind=tensor.data_type,
        shape=tuple(tensor.dims),
        file=place.location,
        start=place.offset,
        size=count_bytes(tensor),
    )


def _find_raw(content: memoryview) -> list[tuple[int, int]]:
    """Find start and size of each tensor's raw data, if any; tensors of nodes first."""
    in_nodes: list[tuple[int, int]] = []
    initializers: list[tuple[int, int]] = []
    for start, end in _find_fields(content, (_GRAPH,), 0, len(content)):
        in_nodes += _find_fields(content, (_NODE, _ATTRIBUTE, _TENSOR, _RAW), start, end)
        initializers += _find_fields(content, (_INITIALIZER, _RAW), start, end)
    return [(start, end - start) for start, end in (*in_nodes, *initializers)]


def _find_fields(
    content: memoryview, path: tuple[int, ...], start: int, end: int
) -> Iterator[tuple[int, int]]:
    """Find start and end of every field at a path of field numbers."""
    for number, first, last in _list_fields(content, start, end):
        if number == path[0]:
            if len(path) == 1:
                yield first, last
            else:
                yield from _find_fields(content, path[1:], first, last)


def _list_fields(content: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each length-delimited field of a message."""
    position = start
    while position < end:
        key, position = _read_varint(content, position)
        match key & 7:
            case 0:  # a varint
                _, position = _read_varint(content, position)
            case 1:  # eight bytes
                position += 8
            case 5:  # four bytes
                position += 4
            case 2:  # as many as its length says
                size, position = _read_varint(content, position)
                yield key >> 3, position, position + size
                position += size
            case kind:
                raise ValueError(f"wire type {kind} is not in use")


def _read_varint(content: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a varint
            return value, position
        shift += 7


def group_by_file(tensors: tuple[Stored, ...]) -> Mapping[str, list[Stored]]:
    """Group tensors by file, in the order of their position, without those that overlap."""
    grouped: dict[str, list[Stored]] = {}
    for tensor in sorted(tensors, key=lambda each: each.start):
        found = grouped.setdefault(tensor.file, [])
        if not found or tensor.start >= found[-1].start + found[-1].size:
            found.append(tensor)
    return grouped


def list_gaps(tensors: Sequence[Stored]) -> Iterator[tuple[int, int]]:
    """List the gaps before each tensor of a file."""
    end = 0
    for tensor in tensors:
        yield end, tensor.start
        end = tensor.start + tensor.size


def is_like(old: Stored, new: Stored) -> bool:
    """Whether two tensors have the same kind, shape and size."""
    return (old.kind, old.shape, old.size) == (new.kind, new.shape, new.size)
