"""What a pattern returns: a layer's parts, as the graph stores them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.constants import read_constant, read_integers
from nhle_onnx.graph.head.patterns.row_norm import RowNorm, find_row_norm
from nhle_onnx.graph.node_quant_params import read_input_quant_params
from nhle_onnx.values.model import QuantParams

Factors = npt.NDArray[np.float64]
MATRIX_RANK = 2
_ALIASES = frozenset({"Cast", "Identity", "Transpose", "QuantizeLinear", "DequantizeLinear"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A constant as the graph stores it: an initializer, or a Constant node's output.

    `params` tell which real numbers its integers stand for; by `rounding`, the graph rounds floats
    on each run. The graph divides it by its lengths along `normalized_axis`, if set, and multiplies
    it by constant `factors`, which broadcast to it.
    """

    name: str
    shape: tuple[int, ...]
    is_transposed: bool
    is_shared: bool
    params: QuantParams | None = None
    rounding: QuantParams | None = None
    normalized_axis: int | None = None
    factors: Factors | None = None

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A node between a constant and its reader: what it reads, and what it does."""

    source: gs.Tensor
    transposes: bool = False
    rounds: bool = False
    params: QuantParams | None = None
    norm: RowNorm | None = None
    factors: Factors | None = None


def resolve(tensor: gs.Tensor | None) -> Stored | None:
    """Return the constant behind Identity, Cast, Transpose and quantizing nodes, or None. Its
    rows may be divided by their lengths or multiplied by constants on the way.
    """
    steps: list[_Step] = []
    while tensor is not None and tensor.inputs and (step := _read_step(tensor.inputs[0])):
        steps.append(step)
        tensor = step.source
    shape = _read_shape(tensor)
    if tensor is None or shape is None:
        return None
    if any(_has_other_scales(step, steps[place:]) for place, step in enumerate(steps)):
        return None
    transposes = [step.transposes for step in steps]
    params, rounding = _read_params(steps)
    norms = [(step.norm, sum(transposes[place:])) for place, step in enumerate(steps) if step.norm]
    factors = [
        step.factors.T if sum(transposes[place:]) % 2 else step.factors
        for place, step in enumerate(steps)
        if step.factors is not None
    ]
    if len(factors) > 1 or len(norms) > 1:
        return None
    readers = {id(node) for norm, _ in norms for node in norm.nodes}
    others = [node for node in tensor.outputs if id(node) not in readers]
    return Stored(
        name=tensor.name,
        shape=shape,
        is_transposed=bool(sum(transposes) % 2),
        is_shared=len(others) > (0 if norms else 1),
        params=params,
        rounding=rounding,
        normalized_axis=next(((norm.axis + count) % 2 for norm, count in norms), None),
        factors=next(iter(factors), None),
    )


def _has_other_scales(step: _Step, before: Sequence[_Step]) -> bool:
    """Whether a step's scales do not apply to the stored numbers, as nodes before it swap the axes
    or change the rows.
    """
    swaps = any(each.transposes for each in before)
    changes = any(each.norm or each.factors is not None for each in before)
    return bool(step.params and swaps) or (step.rounds and changes)


def _read_params(steps: Sequence[_Step]) -> tuple[QuantParams | None, QuantParams | None]:
    """Return the parameters of stored integers, and those by which the graph rounds floats."""
    params = rounding = None
    for step in steps:
        if step.rounds:
            rounding, params = params, None
        params = step.params or params
    return params, rounding


def _read_step(node: gs.Node) -> _Step | None:
    norm = find_row_norm(node)
    if norm is not None:
        return _Step(source=norm.weight, norm=norm)
    scaled = _read_factors(node)
    if scaled is not None:
        return _Step(source=scaled[0], factors=scaled[1])
    if node.op not in _ALIASES:
        return None
    is_quantized = node.op == "DequantizeLinear"
    return _Step(
        source=node.inputs[0],
        transposes=node.op == "Transpose",
        rounds=node.op == "QuantizeLinear",
        params=read_input_quant_params(node) if is_quantized else None,
    )


def _read_shape(tensor: gs.Tensor | None) -> tuple[int, ...] | None:
    """Return the shape of an initializer or of a Constant node's tensor."""
    if isinstance(tensor, gs.Constant):
        return tuple(int(extent) for extent in tensor.shape)
    node = tensor.inputs[0] if tensor is not None and tensor.inputs else None
    if node is None or node.op != "Constant" or "value" not in node.attrs:
        return None
    return tuple(int(extent) for extent in node.attrs["value"].shape)


def _read_factors(node: gs.Node) -> tuple[gs.Tensor, Factors] | None:
    """Return the matrix that a Mul or Div scales by constants, and these factors, [R, 1] or [1, C];
    None for any other node.
    """
    if node.op not in {"Mul", "Div"}:
        return None
    weight, other = node.inputs
    factors = read_constant(other)
    if factors is None or factors.dtype.kind != "f" or not np.isfinite(factors).all():
        return None
    if factors.ndim > MATRIX_RANK or min(factors.shape, default=1) > 1 or not factors.all():
        return None
    wide: Factors = np.atleast_2d(factors.astype(np.float64))
    return weight, wide if node.op == "Mul" else 1 / wide


def find_image_rows(tensor: gs.Tensor) -> gs.Tensor | None:
    """Return the features [N, D] behind a tensor [D, N], or a tensor [N, D, 1] itself: features
    with images on the first axis; None for any other tensor.
    """
    node = tensor.inputs[0] if tensor.inputs else None
    if node is not None and node.op == "Transpose" and [*node.attrs.get("perm", (1, 0))] == [1, 0]:
        features: gs.Tensor = node.inputs[0]
        return features
    if node is not None and node.op == "Unsqueeze":
        return tensor
    shape = tensor.shape
    if node is not None and node.op == "Reshape":
        shape = read_integers(node, "shape", 1)
    return tensor if shape is not None and len(shape) > MATRIX_RANK and shape[-1] == 1 else None
