"""What a pattern returns: a layer's parts, as the graph stores them."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.constants import read_integers
from nhle_onnx.graph.head.patterns.row_norm import find_row_norm
from nhle_onnx.graph.node_quant_params import read_input_quant_params
from nhle_onnx.values.model import QuantParams

MATRIX_RANK = 2
_ALIASES = frozenset({"Cast", "Identity", "Transpose", "DequantizeLinear"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A constant as the graph stores it: an initializer, or a Constant node's output.

    The graph divides it by its lengths along `normalized_axis`, if there is one.
    """

    name: str
    shape: tuple[int, ...]
    is_transposed: bool
    is_shared: bool
    params: QuantParams | None = None
    normalized_axis: int | None = None

    def is_vector(self, num_classes: int) -> bool:
        """Whether it holds one number for each class; other axes may have length 1."""
        return [extent for extent in self.shape if extent != 1] == [num_classes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer's parts.

    `class_axis` is the axis of the stored weight that counts classes. The operator multiplies
    weight and bias by `weight_scale` and `bias_scale`. Its result counts classes along
    `logits_axis`, from the last.
    """

    features: gs.Tensor
    weight: Stored
    bias: Stored | None
    class_axis: int
    weight_scale: float = 1.0
    bias_scale: float = 1.0
    feature_quant_params: QuantParams | None = None
    logits_axis: int = -1


def pick(inputs: Sequence[gs.Tensor], count: int) -> list[gs.Tensor | None]:
    """Return the first `count` inputs of a node, None for each that is left out."""
    present = [None if tensor.is_empty() else tensor for tensor in inputs]
    return [*present, *[None] * count][:count]


def resolve(tensor: gs.Tensor | None) -> Stored | None:
    """Return the constant behind Identity, Cast, Transpose and DequantizeLinear nodes, or None.
    Its rows may be divided by their lengths on the way.
    """
    is_transposed = False
    params = None
    normalized: tuple[int, bool] | None = None  # the axis, and whether it is turned from there on
    readers: set[int] = set()
    while tensor is not None and tensor.inputs:
        node = tensor.inputs[0]
        norm = find_row_norm(node)
        if norm is not None:
            normalized = (norm.axis, is_transposed)
            readers |= {id(each) for each in norm.nodes}
            tensor = norm.weight
            continue
        if node.op not in _ALIASES:
            break
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
        is_shared=len([each for each in tensor.outputs if id(each) not in readers])
        > (normalized is None),
        params=params,
        normalized_axis=None
        if normalized is None
        else normalized[0] ^ (normalized[1] != is_transposed),
    )


def turn_features(tensor: gs.Tensor) -> gs.Tensor | None:
    """Return features [N, D] that a node reads as [D, N], or [N, D, 1]; None for any other."""
    node = tensor.inputs[0] if tensor.inputs else None
    if node is not None and node.op == "Transpose" and [*node.attrs.get("perm", (1, 0))] == [1, 0]:
        turned: gs.Tensor = node.inputs[0]
        return turned
    if node is not None and node.op == "Unsqueeze":
        return tensor
    shape = tensor.shape
    if node is not None and node.op == "Reshape":
        shape = read_integers(node, "shape", 1)
    return tensor if shape is not None and len(shape) > MATRIX_RANK and shape[-1] == 1 else None
