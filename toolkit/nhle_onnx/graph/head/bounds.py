"""How low a bias and a score can be in a quantized model."""

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from nhle_onnx.graph.element_types import get_range
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.quant_params import express_reals
from nhle_onnx.values.model import QuantParams

_HALVED_ABOVE = 2**16  # a higher limit is that of a 32-bit bias
_NARROW = 8  # bits of a weight


def find_lowest_score(head: Head) -> float | None:
    """Return the lowest real number that rounded scores can hold; None if scores are floats."""
    found = (_read_lowest(head.index, params) for params in head.layout.score_quant_params)
    return max(found, default=None)


def _read_lowest(index: GraphIndex, params: QuantParams) -> float:
    point = params.zero_point
    kind = TensorProto.UINT8 if point is None else index.tensors[point].data_type
    return float(express_reals(index, np.array(get_range(kind)[0], np.float64), params))


def read_lowest_bias(head: Head) -> npt.NDArray[np.float64] | None:
    """Return the lowest bias [K] that a quantized head can hold; None where its bias is a float.

    Beside 8-bit weights, only half the range of a 32-bit bias is used: kernels add products to it
    and must not overflow. Beside wider ones, no sum of products fits 32 bits anyway.
    """
    layout = head.layout
    if layout.bias is None or layout.bias_quant_params is None:
        return None
    tensor = head.index.tensors[layout.bias]
    low, high = get_range(tensor.data_type)
    is_halved = high > _HALVED_ABOVE and head.element_type.bits <= _NARROW
    numbers = np.full(tensor.dims, low // 2 if is_halved else low, np.float64)
    reals = express_reals(head.index, numbers, layout.bias_quant_params)
    return reals.reshape(layout.num_classes)
