"""Quantized tensors: their integers, and the real numbers that these stand for."""

import numpy as np
import numpy.typing as npt

from nhle_onnx.graph.element_types import get_range, is_quantized
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.tensors import write_tensor
from nhle_onnx.values.model import QuantParams

Reals = npt.NDArray[np.float64]


def read_reals(index: GraphIndex, name: str, params: QuantParams) -> Reals:
    """Return the real numbers that a quantized tensor stands for."""
    return express_reals(index, _read(index, name), params)


def read_numbers(
    index: GraphIndex, name: str, params: QuantParams | None
) -> npt.NDArray[np.floating]:
    """Return a tensor's values in its own type, or the real numbers of a quantized tensor."""
    if params is not None:
        return read_reals(index, name, params)
    values: npt.NDArray[np.floating] = index.read(name)  # type: ignore[assignment]  # of reals
    return values


def write_numbers(
    index: GraphIndex,
    name: str,
    params: QuantParams | None,
    values: npt.NDArray[np.floating],
) -> None:
    """Write a tensor's values in place, rounded to what its type and parameters can represent."""
    stored = values if params is None else round_reals(index, name, params, values)
    write_tensor(index.tensors[name], stored)


def fits_quant_params(
    index: GraphIndex, name: str, params: QuantParams, *, rises: bool = False
) -> bool:
    """Whether a tensor holds integers, and its zero point and scales fit its shape. No scale may be
    0. With `rises`, all must be positive; block quantizers write negative ones.
    """
    tensor = index.tensors[name]
    if not is_quantized(tensor.data_type):
        return False
    try:
        scale, zero_point = _spread(index, params, (*tensor.dims,))
        shape = np.broadcast_shapes(scale.shape, zero_point.shape, tensor.dims)
        return shape == (*tensor.dims,) and _are_steps(scale if rises else np.abs(scale))
    except (ValueError, IndexError, ZeroDivisionError):  # they do not broadcast to it
        return False


def has_range(index: GraphIndex, params: QuantParams) -> bool:
    """Whether there are a single constant scale and a single constant zero point."""
    tensors = index.tensors
    if not tensors.keys() >= {*params.scales, *filter(None, [params.zero_point])}:
        return False
    if params.zero_point is not None and not is_quantized(tensors[params.zero_point].data_type):
        return False
    try:
        scale, zero_point = _spread(index, params, ())
    except (ValueError, ZeroDivisionError):  # there are several, or there is none
        return False
    return scale.size == zero_point.size == 1 and _are_steps(scale)


def _are_steps(scale: Reals) -> bool:
    return bool(((scale > 0) & (scale < np.inf)).all())


def express_reals(index: GraphIndex, numbers: Reals, params: QuantParams) -> Reals:
    """Return the real numbers that integers stand for."""
    scale, zero_point = _spread(index, params, numbers.shape)
    return (numbers - zero_point) * scale


def round_reals(
    index: GraphIndex, name: str, params: QuantParams, values: npt.NDArray[np.floating]
) -> Reals:
    """Round `values` to integers of a tensor's type."""
    low, high = get_range(index.tensors[name].data_type)
    scale, zero_point = _spread(index, params, values.shape)
    numbers: Reals = np.clip(np.rint(values / scale + zero_point), low, high)
    return numbers


def _spread(index: GraphIndex, params: QuantParams, shape: tuple[int, ...]) -> tuple[Reals, Reals]:
    """Return scale and zero point in shapes that broadcast to a tensor's."""
    scale = np.ones(())
    for name in params.scales:
        scale = scale * _lay_along(_read(index, name), params, shape)
    zero_point = np.zeros(()) if params.zero_point is None else _read(index, params.zero_point)
    return scale, _lay_along(zero_point, params, shape)


def _lay_along(values: Reals, params: QuantParams, shape: tuple[int, ...]) -> Reals:
    if values.size == 1:
        return values.reshape(())
    axis = params.axis % len(shape)
    if params.block_size:
        return values.repeat(params.block_size, axis).take(range(shape[axis]), axis)
    return values.reshape([-1 if index == axis else 1 for index in range(len(shape))])


def _read(index: GraphIndex, name: str) -> Reals:
    values: Reals = index.read(name).astype(np.float64)
    return values
