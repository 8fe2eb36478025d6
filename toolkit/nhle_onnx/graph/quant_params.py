"""Quantized tensors: the whole numbers of their types, and what these stand for."""

import numpy as np
import numpy.typing as npt

from nhle_onnx.graph.element_types import get_range, is_quantized
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.tensors import write_tensor
from nhle_onnx.values.model import QuantParams

Reals = npt.NDArray[np.float64]


def read_reals(index: GraphIndex, name: str, params: QuantParams) -> Reals:
    """What the numbers of a quantized tensor stand for."""
    return express_reals(index, _read(index, name), params)


def read_numbers(
    index: GraphIndex, name: str, params: QuantParams | None
) -> npt.NDArray[np.floating]:
    """A tensor's values in its own type; of a quantized one, what its numbers stand for."""
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
    """Write a tensor's values in place, rounded to what its type and parameters can stand for."""
    stored = values if params is None else round_reals(index, name, params, values)
    write_tensor(index.tensors[name], stored)


def fits_quant_params(
    index: GraphIndex, name: str, params: QuantParams, *, rises: bool = False
) -> bool:
    """Whether a tensor holds whole numbers, along which its zero point and scales lie: all above 0
    if it `rises`, none 0 in any case. Quantizers of blocks write negative ones.
    """
    tensor = index.tensors[name]
    if not is_quantized(tensor.data_type):
        return False
    try:
        scale, zero_point = _spread(index, params, (*tensor.dims,))
        shape = np.broadcast_shapes(scale.shape, zero_point.shape, tensor.dims)
        return shape == (*tensor.dims,) and _are_steps(scale if rises else np.abs(scale))
    except (ValueError, IndexError, ZeroDivisionError):  # as they cannot be spread over it
        return False


def has_range(index: GraphIndex, params: QuantParams) -> bool:
    """Whether there is one scale and one zero point, both known before the model runs."""
    tensors = index.tensors
    if not tensors.keys() >= {*params.scales, *filter(None, [params.zero_point])}:
        return False
    if params.zero_point is not None and not is_quantized(tensors[params.zero_point].data_type):
        return False
    try:
        scale, zero_point = _spread(index, params, ())
    except (ValueError, ZeroDivisionError):  # as there is more than one, or none
        return False
    return scale.size == zero_point.size == 1 and _are_steps(scale)


def _are_steps(scale: Reals) -> bool:
    return bool(((scale > 0) & (scale < np.inf)).all())


def express_reals(index: GraphIndex, numbers: Reals, params: QuantParams) -> Reals:
    """What numbers stand for."""
    scale, zero_point = _spread(index, params, numbers.shape)
    return (numbers - zero_point) * scale


def round_reals(
    index: GraphIndex, name: str, params: QuantParams, values: npt.NDArray[np.floating]
) -> Reals:
    """The numbers of a tensor's type that stand for `values`, or for the nearest it has."""
    low, high = get_range(index.tensors[name].data_type)
    scale, zero_point = _spread(index, params, values.shape)
    numbers: Reals = np.clip(np.rint(values / scale + zero_point), low, high)
    return numbers


def _spread(index: GraphIndex, params: QuantParams, shape: tuple[int, ...]) -> tuple[Reals, Reals]:
    """Scale and zero point in a form that broadcasts to a tensor of a shape."""
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
