"""Quantized tensors: their integers, and the real numbers that these stand for."""

from math import prod

import numpy as np
import numpy.typing as npt

from nhle_onnx.graph.element_types import get_range, is_quantized
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.packed import pack, unpack
from nhle_onnx.graph.tensors import write_tensor
from nhle_onnx.values.model import QuantParams

Reals = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating]


def read_reals(index: GraphIndex, name: str, params: QuantParams) -> Reals:
    """Return the real numbers that a quantized tensor stands for."""
    numbers = _read(index, name)
    if params.packed_bits:
        numbers = unpack(numbers, params.packed_bits, params.packed_width)
    return express_reals(index, numbers, params)


def read_numbers(index: GraphIndex, name: str, params: QuantParams | None) -> Numbers:
    """Return a tensor's values in its own type, or the real numbers of a quantized tensor."""
    if params is not None:
        return read_reals(index, name, params)
    values: Numbers = index.read(name)  # type: ignore[assignment]  # of reals
    return values


def write_numbers(
    index: GraphIndex,
    name: str,
    params: QuantParams | None,
    values: Numbers,
) -> None:
    """Write a tensor's values in place, rounded to what its type and parameters can represent."""
    stored = values if params is None else round_reals(index, name, params, values)
    if params is not None and params.packed_bits:
        stored = pack(stored, params.packed_bits, index.read(name))
    write_tensor(index.tensors[name], stored)


def fits_quant_params(
    index: GraphIndex, name: str, params: QuantParams, *, needs_positive: bool = False
) -> bool:
    """Whether a tensor holds integers, and its scales and zero point are valid and fit its shape.

    No scale may be 0. With `needs_positive`, none may be negative either; block quantizers write
    such scales.
    """
    is_whole = is_quantized(index.tensors[name].data_type)
    return is_whole and fits_scales(index, name, params, needs_positive=needs_positive)


def fits_scales(
    index: GraphIndex, name: str, params: QuantParams, *, needs_positive: bool = False
) -> bool:
    """Do as `fits_quant_params`, for a tensor of any type."""
    try:
        shape = _find_shape(index, name, params)
        scale, zero_point = spread_params(index, params, shape)
        spread = np.broadcast_shapes(scale.shape, zero_point.shape, shape)
        return spread == shape and _are_positive(scale if needs_positive else np.abs(scale))
    except (
        ValueError,
        IndexError,
        ZeroDivisionError,
    ):  # the parameters do not broadcast to the shape
        return False


def _find_shape(index: GraphIndex, name: str, params: QuantParams) -> tuple[int, ...]:
    """Return the shape of a tensor's numbers; for packed ones, without the padding."""
    dims, width = (*index.tensors[name].dims,), params.packed_width
    if not params.packed_bits:
        return dims
    size = -(-width // params.block_size) * params.block_size * params.packed_bits // 8
    return (dims[0], width) if size * dims[0] == prod(dims) else ()


def has_range(index: GraphIndex, params: QuantParams) -> bool:
    """Whether the scale is one positive constant and the zero point one constant."""
    tensors = index.tensors
    if not tensors.keys() >= {*params.scales, *filter(None, [params.zero_point])}:
        return False
    if params.zero_point is not None and not is_quantized(tensors[params.zero_point].data_type):
        return False
    try:
        scale, zero_point = spread_params(index, params, ())
    except (ValueError, ZeroDivisionError):  # each has several numbers, or no number
        return False
    return scale.size == zero_point.size == 1 and _are_positive(scale)


def _are_positive(scale: Reals) -> bool:
    return bool(((scale > 0) & (scale < np.inf)).all())


def express_reals(index: GraphIndex, numbers: Reals, params: QuantParams) -> Reals:
    """Return the real numbers that integers stand for."""
    scale, zero_point = spread_params(index, params, numbers.shape)
    return (numbers - zero_point) * scale


def round_reals(index: GraphIndex, name: str, params: QuantParams, values: Numbers) -> Reals:
    """Round `values` to integers of a tensor's type."""
    low, high = get_range(index.tensors[name].data_type)
    if params.packed_bits:
        high = 2**params.packed_bits - 1
    scale, zero_point = spread_params(index, params, values.shape)
    numbers: Reals = np.clip(np.rint(values / scale + zero_point), low, high)
    return numbers


def spread_params(
    index: GraphIndex, params: QuantParams, shape: tuple[int, ...]
) -> tuple[Reals, Reals]:
    """Return scale and zero point in shapes that broadcast to a tensor's."""
    if params.packed_bits:
        return _spread_packed(index, params, shape)
    scale = np.ones(())
    for name in params.scales:
        scale = scale * _lay_along(_read(index, name), params, shape)
    zero_point = np.zeros(()) if params.zero_point is None else _read(index, params.zero_point)
    return scale, _lay_along(zero_point, params, shape)


def _spread_packed(
    index: GraphIndex, params: QuantParams, shape: tuple[int, ...]
) -> tuple[Reals, Reals]:
    """Do as `spread_params`, for packed rows, whose zero points may be packed as well."""
    rows, width = shape
    blocks = -(-width // params.block_size)
    scale = _read(index, params.scales[0]).reshape(rows, blocks)
    points = np.full((rows, blocks), 2.0 ** (params.packed_bits - 1))
    if params.zero_point is not None:
        stored = _read(index, params.zero_point)
        is_packed = index.read(params.zero_point).dtype == np.uint8
        points = (
            unpack(stored.reshape(rows, -1), params.packed_bits, blocks)
            if is_packed
            else stored.reshape(rows, blocks)
        )
    laid = [each.repeat(params.block_size, 1)[:, :width] for each in (scale, points)]
    return laid[0], laid[1]


def _lay_along(values: Reals, params: QuantParams, shape: tuple[int, ...]) -> Reals:
    """Lay numbers out along the axis of `params`, so that they broadcast to a shape."""
    if values.size == 1:
        return values.reshape(())
    axis = params.axis % len(shape)
    if params.block_size:
        return values.repeat(params.block_size, axis).take(range(shape[axis]), axis)
    return values.reshape([-1 if index == axis else 1 for index in range(len(shape))])


def _read(index: GraphIndex, name: str) -> Reals:
    values: Reals = index.read(name).astype(np.float64)
    return values
