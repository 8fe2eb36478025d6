"""How many elements a tensor has, and how many bytes hold them."""

import math
from collections.abc import Iterable, Mapping

from onnx import TensorProto, helper

KINDS = frozenset(TensorProto.DataType.values()) - {TensorProto.UNDEFINED}
_BITS: Mapping[int, int] = {
    TensorProto.UINT2: 2,
    TensorProto.INT2: 2,
    TensorProto.UINT4: 4,
    TensorProto.INT4: 4,
    TensorProto.FLOAT4E2M1: 4,
    TensorProto.FLOAT6E2M3: 6,
    TensorProto.FLOAT6E3M2: 6,
}
_A_BYTE_EACH = frozenset({TensorProto.FLOAT6E2M3, TensorProto.FLOAT6E3M2})
_PAIRS = frozenset({TensorProto.COMPLEX64, TensorProto.COMPLEX128})


def count_elements(extents: Iterable[int]) -> int:
    """Count the elements of a shape, without overflow."""
    return math.prod(extents)


def count_bytes(tensor: TensorProto) -> int:
    """Count the bytes of a tensor's elements in `raw_data` or in an external file; not for text."""
    kind, count = tensor.data_type, count_elements(tensor.dims)
    bits = _BITS.get(kind) or 8 * int(helper.tensor_dtype_to_np_dtype(kind).itemsize)
    return -(-count * bits // 8)


def count_entries(tensor: TensorProto) -> int:
    """Count the entries of a tensor's elements in the field of their type, without `raw_data`."""
    kind, count = tensor.data_type, count_elements(tensor.dims)
    if kind in _BITS and kind not in _A_BYTE_EACH:
        return count_bytes(tensor)
    return 2 * count if kind in _PAIRS else count
