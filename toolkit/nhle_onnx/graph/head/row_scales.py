"""The scales and zero points that a quantized head has for each row of its own."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nhle_onnx.graph.element_types import get_range
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.quant_params import spread_params
from nhle_onnx.graph.tensors import write_tensor
from nhle_onnx.values.model import ClassifierHead

Rows = npt.NDArray[np.int64]
Weight = npt.NDArray[np.floating]
_TINY = 1e-30


def list_class_scales(index: GraphIndex, head: ClassifierHead) -> Iterator[tuple[str, int]]:
    """List the tensors of scales and zero points that have numbers for each class, with the axis
    that counts classes. Those with one number for all classes or for a block of them are left out.
    """
    for name, axis in list_row_scales(index, head):
        if _is_packed(head) or index.tensors[name].dims[axis] == head.num_classes:
            yield name, axis


def list_row_scales(index: GraphIndex, head: ClassifierHead) -> Iterator[tuple[str, int]]:
    """Do as `list_class_scales` for each stored row, be it a class's or another's."""
    count = index.tensors[head.weight].dims[head.class_axis]
    for name, params, axis in (
        (head.weight, head.weight_quant_params or head.weight_rounding, head.class_axis),
        (head.bias, head.bias_quant_params, 0),
    ):
        if name is None or params is None:
            continue
        rank = len(index.tensors[name].dims)
        for each in (*params.scales, *filter(None, [params.zero_point])):
            if params.packed_bits:
                yield each, 0
                continue
            shape = index.tensors[each].dims
            is_along = len(shape) == 1 and (params.axis % rank == axis or name == head.bias)
            if len(shape) == rank > 1 and shape[axis] == count:
                yield each, axis
            elif is_along and shape[0] == count:
                yield each, 0


def lay_by_row(values: npt.NDArray[Any], axis: int, rows: int) -> npt.NDArray[Any]:
    """Return a view of such a tensor's numbers whose first axis counts rows. Packed ones lie in
    blocks, all of the first row before those of the next.
    """
    laid = np.moveaxis(values, axis, 0)
    return laid if len(laid) == rows else values.reshape(rows, -1)


def copy_scales(index: GraphIndex, head: ClassifierHead, rows: Rows, source: GraphIndex) -> None:
    """Give some rows the scales and zero points that tensors of the same names have in another
    graph, in place.
    """
    count = index.tensors[head.weight].dims[head.class_axis]
    for name, axis in list_row_scales(index, head):
        if name in source.tensors and index.tensors[name].dims == source.tensors[name].dims:
            values: Weight = index.read(name).copy()  # type: ignore[assignment]  # of numbers
            lay_by_row(values, axis, count)[rows] = lay_by_row(source.read(name), axis, count)[rows]
            write_tensor(index.tensors[name], values)


def fit_scales(index: GraphIndex, head: ClassifierHead, rows: Rows, weight: Weight) -> None:
    """Give some rows scales at which their new `weight` fits, in place, their biases with them, and
    zero points in the middle. Packed rows keep theirs.
    """
    params = head.weight_quant_params
    if params is None or params.packed_bits:
        return
    listed = dict(list_row_scales(index, head))
    low, high = get_range(index.tensors[head.weight].data_type)
    middle = (low + high + 1) // 2
    if params.zero_point in listed:
        _change_rows(index, listed, params.zero_point, rows, lambda old: np.full_like(old, middle))
    scale, zero_point = spread_params(index, params, weight.shape)
    reach = np.broadcast_to(np.minimum(high - zero_point, zero_point - low), weight.shape)
    own = [name for name in params.scales if name in listed][:1]
    if not own or reach.min() < 1:
        return
    if head.bias_quant_params is not None:
        known = listed.keys() - {*params.scales}
        own += [name for name in head.bias_quant_params.scales if name in known]
    counted = np.moveaxis(np.abs(weight / scale) / reach, head.class_axis, 0)
    factors = counted.reshape(len(counted), -1).max(1)[rows]
    for name in own:
        _change_rows(index, listed, name, rows, lambda old: (old.T * factors).T)


def _change_rows(
    index: GraphIndex,
    axes: Mapping[str, int],
    name: str,
    rows: Rows,
    change: Callable[[Weight], Weight],
) -> None:
    values: Weight = index.read(name).astype(np.float64)
    laid = np.moveaxis(values, axes[name], 0)  # a view: writes reach `values`
    laid[rows] = change(laid[rows])
    write_tensor(index.tensors[name], values)


def measure_losses(weight: Weight, original: Weight) -> npt.NDArray[np.float64]:
    """Measure how far each row of [K, D] is from the original's, relative to its length."""
    lengths = np.linalg.norm(original, axis=1)
    distances = np.linalg.norm(weight - original, axis=1)
    shares: npt.NDArray[np.float64] = distances / np.maximum(lengths, _TINY)
    return shares


def _is_packed(head: ClassifierHead) -> bool:
    params = head.weight_quant_params
    return params is not None and params.packed_bits > 0
