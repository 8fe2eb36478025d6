"""The types of numbers that tensors hold, with a row of facts for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from onnx import TensorProto

_Range = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementType:
    """A type of number, `bits` wide; reports call it `name`.

    `range` holds the lowest and highest integer of a type whose integers a scale may turn into real
    numbers, otherwise None. `is_real`: a head may be stored in it without a scale. `is_trained`:
    training may change its numbers directly. `torch` names the type that PyTorch computes with,
    None if no type of PyTorch holds these numbers. With a head stored in this type, logits may
    differ from ONNX Runtime's by `tolerance`, relative to the largest logit.
    """

    name: str
    bits: int
    range: _Range | None = None
    is_real: bool = False
    is_trained: bool = False
    is_complex: bool = False
    torch: str | None = None
    tolerance: float = 1e-1  # a few steps of 8 bits: a number between two steps may round to either


def _signed(bits: int) -> _Range:
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _unsigned(bits: int) -> _Range:
    return 0, 2**bits - 1


_Trained = partial(ElementType, is_real=True, is_trained=True)

ELEMENT_TYPES: Mapping[int, ElementType] = {
    TensorProto.FLOAT: _Trained(name="float32", bits=32, torch="float32", tolerance=1e-3),
    TensorProto.FLOAT16: _Trained(name="float16", bits=16, torch="float16", tolerance=2e-2),
    TensorProto.BFLOAT16: _Trained(name="bfloat16", bits=16, torch="bfloat16"),
    TensorProto.DOUBLE: _Trained(name="double", bits=64, torch="float64", tolerance=1e-3),
    TensorProto.FLOAT8E4M3FN: ElementType(name="float8e4m3fn", bits=8),
    TensorProto.FLOAT8E4M3FNUZ: ElementType(name="float8e4m3fnuz", bits=8),
    TensorProto.FLOAT8E5M2: ElementType(name="float8e5m2", bits=8),
    TensorProto.FLOAT8E5M2FNUZ: ElementType(name="float8e5m2fnuz", bits=8),
    TensorProto.FLOAT8E8M0: ElementType(name="float8e8m0", bits=8),
    TensorProto.FLOAT6E2M3: ElementType(name="float6e2m3", bits=6),
    TensorProto.FLOAT6E3M2: ElementType(name="float6e3m2", bits=6),
    TensorProto.FLOAT4E2M1: ElementType(name="float4e2m1", bits=4),
    TensorProto.INT2: ElementType(name="int2", bits=2),
    TensorProto.UINT2: ElementType(name="uint2", bits=2),
    TensorProto.INT4: ElementType(name="int4", bits=4, range=_signed(4), torch="int8"),
    TensorProto.UINT4: ElementType(name="uint4", bits=4, range=_unsigned(4), torch="uint8"),
    TensorProto.INT8: ElementType(name="int8", bits=8, range=_signed(8), torch="int8"),
    TensorProto.UINT8: ElementType(name="uint8", bits=8, range=_unsigned(8), torch="uint8"),
    TensorProto.INT16: ElementType(name="int16", bits=16, range=_signed(16), torch="int16"),
    TensorProto.UINT16: ElementType(name="uint16", bits=16, range=_unsigned(16), torch="uint16"),
    TensorProto.INT32: ElementType(name="int32", bits=32, range=_signed(32), torch="int32"),
    TensorProto.UINT32: ElementType(name="uint32", bits=32, torch="uint32"),
    TensorProto.INT64: ElementType(name="int64", bits=64, torch="int64"),
    TensorProto.UINT64: ElementType(name="uint64", bits=64, torch="uint64"),
    TensorProto.BOOL: ElementType(name="bool", bits=8, torch="bool"),
    TensorProto.COMPLEX64: ElementType(
        name="complex64", bits=64, is_complex=True, torch="complex64"
    ),
    TensorProto.COMPLEX128: ElementType(
        name="complex128", bits=128, is_complex=True, torch="complex128"
    ),
    TensorProto.STRING: ElementType(name="string", bits=0),  # text: no number
}
_UNDEFINED = ElementType(name="undefined", bits=0)


def get_element_type(kind: int) -> ElementType:
    """Return the row of an ONNX type code; for a code that ONNX does not define, one of 0 bits."""
    return ELEMENT_TYPES.get(kind, _UNDEFINED)


def is_quantized(kind: int) -> bool:
    """Whether a scale may turn a type's integers into real numbers."""
    return get_element_type(kind).range is not None


def get_range(kind: int) -> _Range:
    """Return the lowest and highest number of a quantized type. Raises KeyError for others."""
    found = get_element_type(kind).range
    if found is None:
        raise KeyError(kind)
    return found
