"""Numbers of a few bits, packed into bytes as MatMulNBits does: by rows, the lowest bits first."""

from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, helper

from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.tensors import list_tensors

Numbers = npt.NDArray[np.generic]
_BYTE = 8
PACKED_BITS = frozenset({2, 4, 8})
_OPERATOR = "MatMulNBits"
_WEIGHT = 1  # its input position


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How a tensor's bytes hold `rows` of `width` numbers, each of `bits` bits."""

    rows: int
    width: int
    bits: int

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the numbers."""
        return self.rows, self.width

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and highest number."""
        return 0, 2**self.bits - 1

    def fits(self, tensor: TensorProto) -> bool:
        """Whether a tensor has this number of rows, and enough bytes in each."""
        has_room = prod(tensor.dims[1:]) * _BYTE >= self.width * self.bits > 0
        return tensor.data_type == TensorProto.UINT8 and tensor.dims[:1] == [self.rows] and has_room


def list_packings(proto: ModelProto) -> dict[str, Packing]:
    """Return the packing of each packed weight that fits its operator, by name."""
    tensors = GraphIndex(proto).tensors
    found: dict[str, Packing] = {}
    for node in proto.graph.node:
        if node.op_type == _OPERATOR and (name := node.input[_WEIGHT]) in tensors:
            given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
            packing = Packing(
                rows=given.get("N", 0), width=given.get("K", 0), bits=given.get("bits", 4)
            )
            if packing.bits in PACKED_BITS and packing.fits(tensors[name]):
                found[name] = packing
    return found


def measure_sizes(proto: ModelProto) -> dict[str, int]:
    """Count the numbers of each tensor, by name; in a packed tensor, the numbers, not the bytes."""
    packings = list_packings(proto)
    return {
        name: prod(packings[name].shape if name in packings else tensor.dims)
        for name, tensor in list_tensors(proto)
    }


def unpack(stored: Numbers, bits: int, width: int) -> npt.NDArray[np.float64]:
    """Return the numbers [N, width] in bytes [N, ...]."""
    content = stored.reshape(len(stored), -1, 1).astype(np.uint8)
    numbers = (content >> np.arange(0, _BYTE, bits, dtype=np.uint8)) & (2**bits - 1)
    rows: npt.NDArray[np.float64] = numbers.reshape(len(stored), -1)[:, :width].astype(np.float64)
    return rows


def pack(numbers: Numbers, bits: int, stored: Numbers) -> npt.NDArray[np.float64]:
    """Return numbers [N, width] as bytes in the shape of `stored`, with its padding."""
    size = stored[0].size * _BYTE // bits
    rows = unpack(stored, bits, size).astype(np.uint8)
    rows[:, : numbers.shape[1]] = numbers
    shifts = np.arange(0, _BYTE, bits, dtype=np.uint8)
    content = (rows.reshape(len(rows), -1, _BYTE // bits) << shifts).sum(-1, dtype=np.uint8)
    packed: npt.NDArray[np.float64] = content.reshape(stored.shape).astype(np.float64)
    return packed
