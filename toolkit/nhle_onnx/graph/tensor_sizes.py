"""How many elements a tensor has, and how many bytes hold them."""

import math
from collections.abc import Iterable

from onnx import TensorProto

from nhle_onnx.graph.element_types import get_element_type

_SHARING = frozenset({2, 4})  # bits of types with several numbers in each entry


def count_elements(extents: Iterable[int]) -> int:
    """Count the elements of a shape, without overflow."""
    return math.prod(extents)


def count_bytes(tensor: TensorProto) -> int:
    """Count the bytes of a tensor's elements in `raw_data` or in an external file; not for text."""
    return -(-count_elements(tensor.dims) * get_element_type(tensor.data_type).bits // 8)


def count_entries(tensor: TensorProto) -> int:
    """Count the entries of a tensor's elements in the field of their type, without `raw_data`."""
    count, kind = count_elements(tensor.dims), get_element_type(tensor.data_type)
    if kind.bits in _SHARING:
        return count_bytes(tensor)
    return 2 * count if kind.is_complex else count
