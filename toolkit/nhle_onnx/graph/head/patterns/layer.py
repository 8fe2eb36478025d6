"""What a pattern returns: a layer's parts, as the graph stores them."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from nhle_onnx.graph.node_quant_params import read_input_quant_params
from nhle_onnx.values.model import QuantParams

MATRIX_RANK = 2
_ALIASES = frozenset({"Cast", "Identity", "Transpose", "DequantizeLinear"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A constant as the graph stores it: an initializer, or a Constant node's output."""

    name: str
    shape: tuple[int, ...]
    is_transposed: bool
    is_shared: bool
    params: QuantParams | None = None

    def is_vector(self, num_classes: int) -> bool:
        """Whether it holds one number for each class; other axes may have length 1."""
        return [extent for extent in self.shape if extent != 1] == [num_classes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer's parts.

    `class_axis` is the axis of the stored weight that counts classes. The operator multiplies
    weight and bias by `weight_scale` and `bias_scale`.
    """

    features: gs.Tensor
    weight: Stored
    bias: Stored | None
    class_axis: int
    weight_scale: float = 1.0
    bias_scale: float = 1.0
    feature_quant_params: QuantParams | None = None


def pick(inputs: Sequence[gs.Tensor], count: int) -> list[gs.Tensor | None]:
    """Return the first `count` inputs of a node, None for each that is left out."""
    present = [None if tensor.is_empty() else tensor for tensor in inputs]
    return [*present, *[None] * count][:count]


def resolve(tensor: gs.Tensor | None) -> Stored | None:
    """Return the constant behind Identity, Cast, Transpose and DequantizeLinear nodes, or None."""
    is_transposed = False
    params = None
    while tensor is not None and tensor.inputs and tensor.inputs[0].op in _ALIASES:
        node = tensor.inputs[0]
        if node.op == "DequantizeLinear":
            params = read_input_quant_params(node)
        elif node.op == "Transpose":
            if params is not None:
                return None  # the quantization axis would not be the same in the stored layout
            is_transposed = not is_transposed
        tensor = node.inputs[0]
    if tensor is None:
        return None
    if tensor.inputs and tensor.inputs[0].op == "Constant" and "value" in tensor.inputs[0].attrs:
        shape = tensor.inputs[0].attrs["value"].shape
    elif isinstance(tensor, gs.Constant):
        shape = tensor.shape
    else:
        return None
    return Stored(
        name=tensor.name,
        shape=tuple(int(extent) for extent in shape),
        is_transposed=is_transposed,
        is_shared=len(tensor.outputs) > 1,
        params=params,
    )
