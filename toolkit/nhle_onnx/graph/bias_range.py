"""How far down a quantized head's bias reaches, and letting it reach further."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head_values import read_head, write_head
from nhle_onnx.graph.quant_params import RANGES, express_reals
from nhle_onnx.graph.tensors import list_tensors, read_tensors, replace_tensors
from nhle_onnx.graph.traversal import list_graphs
from nhle_onnx.hints import hint
from nhle_onnx.values.model import ClassifierHead

_HALVED_ABOVE = 2**16


def read_lowest_bias(proto: ModelProto, head: ClassifierHead) -> npt.NDArray[np.float64] | None:
    """The lowest bias [K] that a quantized head holds; None where its bias is a float.

    Of 32 bits only half the range: kernels add products to a bias, and must not overflow.
    """
    if head.bias is None or head.bias_quant_params is None:
        return None
    tensor = dict(list_tensors(proto))[head.bias]
    low, high = RANGES[tensor.data_type]
    numbers = np.full(tensor.dims, low // 2 if high > _HALVED_ABOVE else low, np.float64)
    return express_reals(proto, numbers, head.bias_quant_params).reshape(head.num_classes)


def deepen_bias(
    proto: ModelProto, head: ClassifierHead, classes: Sequence[int], lowest: float
) -> tuple[str, ...]:
    """Let the bias of some classes reach down to `lowest`, in place, and round the head anew.

    Steps grow by a power of two. Of a bias of 32 bits a step is taken to be the product of the
    features' and the weight's, so that the weight's grow too. Returns the names of the scales.
    Raises UnsupportedModelError where one of them serves another tensor as well, or a block.
    """
    reached = read_lowest_bias(proto, head)
    if (
        reached is None
        or head.bias is None
        or head.bias_quant_params is None
        or head.weight_quant_params is None
    ):
        return ()
    growth = np.ones(head.num_classes)
    growth[[*classes]] = 2.0 ** np.ceil(np.log2(np.maximum(lowest / reached[[*classes]], 1)))
    scales = set(head.weight_quant_params.scales) & set(head.bias_quant_params.scales) or {
        *head.bias_quant_params.scales
    }
    if dict(list_tensors(proto))[head.bias].data_type == TensorProto.INT32:
        scales |= {*head.weight_quant_params.scales}
    values = read_tensors(proto, tuple(sorted(scales)))
    can_grow = all(each.size in {1, head.num_classes} for each in values.values())
    if not can_grow or _are_shared(proto, scales):
        message = f"the head's scales {', '.join(values)} serve other tensors, or lie in blocks"
        raise UnsupportedModelError(message, remedy=hint("Use {method=nhle}."))
    weight, bias = read_head(proto, head)
    grown = {
        name: each * (growth.max() if each.size == 1 else growth.reshape(each.shape))
        for name, each in values.items()
    }
    replace_tensors(proto, grown)
    write_head(proto, head, weight, bias)
    return tuple(grown)


def _are_shared(proto: ModelProto, names: set[str]) -> bool:
    """Whether one of some tensors is read more than once."""
    read = [
        name
        for graph in list_graphs(proto.graph)
        for node in graph.node
        for name in node.input
        if name in names
    ]
    return len(read) > len(names)
