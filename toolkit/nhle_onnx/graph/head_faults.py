"""Tensors of a head that no kernel computes with, although the layer looks like one."""

from onnx import ModelProto, TensorProto

from nhle_onnx.graph.grids import fits_grid, has_range
from nhle_onnx.graph.tensors import FLOAT_TYPES, list_tensors
from nhle_onnx.values.model import ClassifierHead, Grid

_REAL = frozenset({*FLOAT_TYPES, TensorProto.DOUBLE})


def find_tensor_fault(proto: ModelProto, head: ClassifierHead) -> str | None:
    """What is wrong with a head's weight, bias or scores, as the end of a sentence about it."""
    fault = _find_fault(proto, head.weight, head.weight_grid, rises=False)
    if fault is None and head.bias is not None:  # whose lowest number is to be its lowest value
        fault = _find_fault(proto, head.bias, head.bias_grid, rises=True)
    if fault is not None:
        return fault
    for grid in head.score_limits:
        if not has_range(proto, grid):
            names = " and ".join(filter(None, [*grid.scales, grid.zero_point]))
            return f"rounds its scores by {names}, which are no constant scale and zero point"
    return None


def _find_fault(proto: ModelProto, name: str, grid: Grid | None, *, rises: bool) -> str | None:
    tensors = dict(list_tensors(proto))
    spread = () if grid is None else (*grid.scales, *filter(None, [grid.zero_point]))
    missing = [each for each in (name, *spread) if each not in tensors]
    if missing:
        return f"reads {missing[0]}, which is sparse or no constant"
    kind = tensors[name].data_type
    if grid is None and kind not in _REAL:
        return f"reads {name}, which holds {TensorProto.DataType.Name(kind)} without a scale"
    if grid is not None and not fits_grid(proto, name, grid, rises=rises):
        return f"reads {name}, which its scale or zero point does not fit"
    return None
