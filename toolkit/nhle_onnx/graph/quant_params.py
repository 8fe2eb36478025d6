"""Quantized tensors: the whole numbers of their types, and what these stand for."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, numpy_helper

from nhle_onnx.graph.tensors import list_tensors
from nhle_onnx.values.model import QuantParams

RANGES: Mapping[int, tuple[int, int]] = {
    TensorProto.INT4: (-8, 7),
    TensorProto.UINT4: (0, 15),
    TensorProto.INT8: (-128, 127),
    TensorProto.UINT8: (0, 255),
    TensorProto.INT16: (-(2**15), 2**15 - 1),
    TensorProto.UINT16: (0, 2**16 - 1),
    TensorProto.INT32: (-(2**31), 2**31 - 1),
}

Reals = npt.NDArray[np.float64]


def read_reals(proto: ModelProto, name: str, params: QuantParams) -> Reals:
    """What the numbers of a quantized tensor stand for."""
    return express_reals(proto, _read(proto, name), params)


def fits_quant_params(
    proto: ModelProto, name: str, params: QuantParams, *, rises: bool = False
) -> bool:
    """Whether a tensor holds whole numbers, along which its zero point and scales lie: all above 0
    if it `rises`, none 0 in any case. Quantizers of blocks write negative ones.
    """
    tensor = dict(list_tensors(proto))[name]
    if tensor.data_type not in RANGES:
        return False
    try:
        scale, zero_point = _spread(proto, params, (*tensor.dims,))
        shape = np.broadcast_shapes(scale.shape, zero_point.shape, tensor.dims)
        return shape == (*tensor.dims,) and _are_steps(scale if rises else np.abs(scale))
    except (ValueError, IndexError, ZeroDivisionError):  # as they cannot be spread over it
        return False


def has_range(proto: ModelProto, params: QuantParams) -> bool:
    """Whether a grid has one scale and one zero point, both known before the model runs."""
    tensors = dict(list_tensors(proto))
    if not tensors.keys() >= {*params.scales, *filter(None, [params.zero_point])}:
        return False
    if params.zero_point is not None and tensors[params.zero_point].data_type not in RANGES:
        return False
    try:
        scale, zero_point = _spread(proto, params, ())
    except (ValueError, ZeroDivisionError):  # as there is more than one, or none
        return False
    return scale.size == zero_point.size == 1 and _are_steps(scale)


def _are_steps(scale: Reals) -> bool:
    return bool(((scale > 0) & (scale < np.inf)).all())


def express_reals(proto: ModelProto, numbers: Reals, params: QuantParams) -> Reals:
    """What numbers on a grid stand for."""
    scale, zero_point = _spread(proto, params, numbers.shape)
    return (numbers - zero_point) * scale


def round_reals(
    proto: ModelProto, name: str, params: QuantParams, values: npt.NDArray[np.floating]
) -> Reals:
    """The numbers of a tensor's type that stand for `values`, or for the nearest it has."""
    low, high = RANGES[dict(list_tensors(proto))[name].data_type]
    scale, zero_point = _spread(proto, params, values.shape)
    numbers: Reals = np.clip(np.rint(values / scale + zero_point), low, high)
    return numbers


def _spread(proto: ModelProto, params: QuantParams, shape: tuple[int, ...]) -> tuple[Reals, Reals]:
    """Scale and zero point in a form that broadcasts to a tensor of a shape."""
    scale = np.ones(())
    for name in params.scales:
        scale = scale * _lay_along(_read(proto, name), params, shape)
    zero_point = np.zeros(()) if params.zero_point is None else _read(proto, params.zero_point)
    return scale, _lay_along(zero_point, params, shape)


def _lay_along(values: Reals, params: QuantParams, shape: tuple[int, ...]) -> Reals:
    if values.size == 1:
        return values.reshape(())
    axis = params.axis % len(shape)
    if params.block_size:
        return values.repeat(params.block_size, axis).take(range(shape[axis]), axis)
    return values.reshape([-1 if index == axis else 1 for index in range(len(shape))])


def _read(proto: ModelProto, name: str) -> Reals:
    values: Reals = numpy_helper.to_array(dict(list_tensors(proto))[name]).astype(np.float64)
    return values
