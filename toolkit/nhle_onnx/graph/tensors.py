"""The constant tensors of a graph: initializers, and Constant nodes that hold a tensor."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from ml_dtypes import finfo, iinfo
from onnx import ModelProto, TensorProto, helper, numpy_helper

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.element_types import get_element_type
from nhle_onnx.graph.tensor_sizes import count_bytes

MAX_PROTO_BYTES = 2**31 - 2**20  # protobuf's limit, with room for the graph itself


def list_tensors(proto: ModelProto) -> Iterator[tuple[str, TensorProto]]:
    """Return every constant tensor of the main graph, by the name that nodes use for it."""
    for tensor in proto.graph.initializer:
        yield tensor.name, tensor
    for node in proto.graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    yield node.output[0], attribute.t


def measure_bytes(proto: ModelProto) -> int:
    """Count the bytes that the tensors hold, without serialising or copying them."""
    tensors = (tensor for _, tensor in list_tensors(proto))
    return sum(count_bytes(tensor) for tensor in tensors if tensor.HasField("raw_data"))


def make_blank(proto: ModelProto) -> ModelProto:
    """Return a copy whose float matrices are zero, to try what does not depend on weights without
    writing the weights anywhere.
    """
    blank = copy_model(proto)
    for _, tensor in list_tensors(blank):
        if len(tensor.dims) > 1 and is_float(tensor) and tensor.HasField("raw_data"):
            tensor.raw_data = bytes(len(tensor.raw_data))
    return blank


def is_float(tensor: TensorProto) -> bool:
    """Whether a tensor holds floats, which can be trained."""
    return get_element_type(tensor.data_type).is_trained


def read_tensors(proto: ModelProto, names: tuple[str, ...]) -> dict[str, npt.NDArray[np.floating]]:
    """Read the values of the named float tensors."""
    found = {name: tensor for name, tensor in list_tensors(proto) if name in names}
    return {name: numpy_helper.to_array(found[name]) for name in names}


def replace_tensors(proto: ModelProto, values: Mapping[str, npt.NDArray[np.floating]]) -> None:
    """Write new values into the named tensors in place, with the same shape, type and encoding.
    Values beyond a type's range are clipped.
    """
    for name, tensor in list_tensors(proto):
        if name in values:
            write_tensor(tensor, values[name])


def write_tensor(tensor: TensorProto, value: npt.NDArray[np.floating]) -> None:
    """Write new values into a tensor in place, as `replace_tensors` does."""
    current = numpy_helper.to_array(tensor)
    if value.shape != current.shape:
        raise ValueError(f"{tensor.name}: shape {value.shape} does not fit {current.shape}")
    if get_element_type(tensor.data_type).is_real:
        limits = finfo(current.dtype)
        within = np.where(np.isfinite(value), np.clip(value, limits.min, limits.max), value)
        cast = np.ascontiguousarray(within, dtype=current.dtype)
    else:
        cast = _round(value, current)
    encoded = numpy_helper.from_array(cast)
    if tensor.HasField("raw_data"):
        tensor.raw_data = encoded.raw_data
    else:
        field = getattr(tensor, helper.tensor_dtype_to_field(tensor.data_type))
        field[:] = _list_entries(cast, encoded.raw_data).tolist()


def _list_entries(numbers: npt.NDArray[Any], content: bytes) -> npt.NDArray[Any]:
    """List numbers as the field of their type holds them: as bits if protobuf lacks the type."""
    if numbers.dtype.kind in "iu" or numbers.dtype in {np.dtype("f4"), np.dtype("f8")}:
        return numbers.ravel()
    return np.frombuffer(content, f"<u{numbers.dtype.itemsize}")


def _round(value: npt.NDArray[np.floating], current: npt.NDArray[np.generic]) -> npt.NDArray[Any]:
    """Round to integers of the tensor's type. Values that are unchanged in `value`'s precision keep
    their bits, as float32 cannot represent every 32-bit integer.
    """
    is_same = value == current.astype(value.dtype)
    limits = iinfo(current.dtype)
    nearest = np.rint(value.astype(np.float64)).clip(limits.min, limits.max).astype(np.int64)
    return np.where(is_same, current.astype(np.int64), nearest).astype(current.dtype)
