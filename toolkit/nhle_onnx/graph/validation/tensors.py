"""Invalid tensors: unknown types, impossible axes, and missing or surplus numbers."""

from collections.abc import Iterator, Sequence

from google.protobuf.message import Message
from onnx import SparseTensorProto, TensorProto, TypeProto, helper

from nhle_onnx.graph.element_types import ELEMENT_TYPES
from nhle_onnx.graph.tensor_sizes import count_bytes, count_elements, count_entries

_MAX_AXES = 64  # NumPy's limit
_OPEN = -1  # how some converters write an axis of unknown length
_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")


def list_tensor_faults(message: Message, max_elements: int) -> Iterator[str]:
    """Yield what is wrong with one tensor, or with a declared tensor type."""
    match message:
        case TensorProto():
            yield from _list_tensor_faults(message, max_elements)
        case SparseTensorProto():
            yield from list_shape_faults("a sparse tensor", message.dims, max_elements)
        case TypeProto.Tensor():
            yield from _list_type_faults(message, max_elements)


def list_shape_faults(what: str, extents: Sequence[int], max_elements: int) -> Iterator[str]:
    """Yield what is wrong with a shape: too many axes, a negative extent, or too many elements."""
    if len(extents) > _MAX_AXES:
        yield f"gives {what} {len(extents)} axes, where at most {_MAX_AXES} are possible"
    elif min(extents, default=0) < 0:
        yield f"gives {what} an axis of negative length: {list(extents)}"
    elif (count := count_elements(extents)) > max_elements:
        yield f"gives {what} {count:,} elements, {list(extents)}: more than {max_elements:,}"


def _list_tensor_faults(tensor: TensorProto, max_elements: int) -> Iterator[str]:
    what = f"the tensor {tensor.name}" if tensor.name else "a tensor without a name"
    if tensor.data_type not in ELEMENT_TYPES:
        yield f"gives {what} the type {tensor.data_type}, which ONNX does not have"
        return
    faults = tuple(list_shape_faults(what, tensor.dims, max_elements))
    yield from faults
    if not faults:
        yield from _list_content_faults(tensor, what)


def _list_content_faults(tensor: TensorProto, what: str) -> Iterator[str]:
    """Yield what is wrong with the content: stored in two places, or not of the right size."""
    is_text = tensor.data_type == TensorProto.STRING
    is_outside = tensor.data_location == TensorProto.EXTERNAL
    entries = {name: len(getattr(tensor, name)) for name in _FIELDS}
    filled = {name: count for name, count in entries.items() if count}
    if tensor.HasField("raw_data") and (tensor.raw_data or filled):  # as readers check
        filled["raw_data"] = len(tensor.raw_data)
    if is_outside:
        if is_text:
            yield f"keeps {what} in a separate file, though it is text"
        elif filled:
            yield f"keeps {what} in a separate file and in itself"
        return
    is_raw = "raw_data" in filled and not is_text
    field = "raw_data" if is_raw else helper.tensor_dtype_to_field(tensor.data_type)
    expected = count_bytes(tensor) if is_raw else count_entries(tensor)
    if filled != ({field: expected} if expected else {}):
        held = " and ".join(f"{count} in {name}" for name, count in filled.items()) or "none"
        unit = "bytes" if is_raw else "entries"
        shape = list(tensor.dims)
        yield f"has {what} of the shape {shape}, which takes {expected:,} {unit}, but holds {held}"


def _list_type_faults(declared: TypeProto.Tensor, max_elements: int) -> Iterator[str]:
    if declared.elem_type not in ELEMENT_TYPES and declared.elem_type != TensorProto.UNDEFINED:
        yield f"declares a value of the type {declared.elem_type}, which ONNX does not have"
    extents = [axis.dim_value for axis in declared.shape.dim if axis.HasField("dim_value")]
    known = [1 if extent == _OPEN else extent for extent in extents]
    yield from list_shape_faults("a declared value", known, max_elements)
