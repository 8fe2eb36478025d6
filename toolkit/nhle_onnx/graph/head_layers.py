"""The layers that can be a head: Gemm, MatMul with or without Add, and Conv."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import onnx_graphsurgeon as gs

from nhle_onnx.graph.node_quant_params import (
    QUANTIZING,
    list_output_quant_params,
    read_input_quant_params,
    read_quant_params,
)
from nhle_onnx.values.model import ClassifierHead, QuantParams

_MATRIX_RANK = 2
_MIN_CLASSES = 2
_ALIASES = frozenset({"Cast", "Identity", "Transpose", "DequantizeLinear"})
_MOVING = frozenset({"Flatten", "Reshape", "Squeeze", "Identity"})
_ADDING = frozenset({"Add", "QLinearAdd"})
_QUANTIZED_WEIGHT = 3
_QUANTIZED_BIASES = {"QGemm": 6, "QLinearConv": 8, "QLinearMatMul": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What lies between a head and its graph output."""

    output: gs.Tensor
    scores: str
    scores_quant_params: QuantParams | None = None
    is_pooled: bool = False
    is_clamped: bool = False
    limits: tuple[QuantParams, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A constant as the graph stores it: an initializer, or a Constant node's output."""

    name: str
    shape: tuple[int, ...]
    is_transposed: bool
    is_shared: bool
    params: QuantParams | None = None

    def is_vector(self, num_classes: int) -> bool:
        """Whether it holds one number a class, whatever axes of one it has."""
        return [extent for extent in self.shape if extent != 1] == [num_classes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A layer's parts; `class_axis` counts on the weight as the graph stores it."""

    features: gs.Tensor
    weight: _Stored
    bias: _Stored | None
    class_axis: int
    bias_scale: float = 1.0
    feature_quant_params: QuantParams | None = None


def read_layer(node: gs.Node, trail: Trail) -> ClassifierHead | str:
    """The head that `node` is (or the Add of its bias), or the reason why it is none."""
    bias = None
    last = node
    if node.op in _ADDING:
        bias, inner = _split_add(node)
        if inner is None:
            return f"{trail.output.name} comes from {node.op} {node.name}"
        node = inner
    node = _skip_dynamic_scale(node)
    if node.op not in _READERS:
        return f"{trail.output.name} comes from {node.op} {node.name}"
    layer = _READERS[node.op](node, bias)
    if isinstance(layer, str):
        return f"{node.op} {node.name} {layer}"
    fault = _find_fault(layer, trail, is_matrix="Conv" not in node.op)
    if fault:
        return f"{node.op} {node.name} {fault}"
    num_classes = layer.weight.shape[layer.class_axis]
    return ClassifierHead(
        op=node.op,
        node=node.name,
        weight=layer.weight.name,
        bias=layer.bias.name if layer.bias is not None else None,
        bias_scale=layer.bias_scale,
        class_axis=layer.class_axis,
        num_classes=num_classes,
        feature_dim=math.prod(layer.weight.shape) // num_classes,
        features=layer.features.name,
        logits=last.outputs[0].name,
        scores=trail.scores,
        is_clamped=trail.is_clamped,
        output=trail.output.name,
        weight_quant_params=layer.weight.params,
        bias_quant_params=layer.bias.params if layer.bias is not None else None,
        feature_quant_params=layer.feature_quant_params,
        feature_limits=layer.feature_quant_params or _find_feature_limits(layer.features),
        scores_quant_params=trail.scores_quant_params,
        score_quant_params=(*trail.limits, *list_output_quant_params(last)),
    )


def _find_feature_limits(features: gs.Tensor) -> QuantParams | None:
    """The grid that features were read from, behind what only moves them."""
    while features.inputs and features.inputs[0].op in _MOVING:
        features = features.inputs[0].inputs[0]
    is_read = bool(features.inputs) and features.inputs[0].op == "DequantizeLinear"
    return read_input_quant_params(features.inputs[0]) if is_read else None


def _find_fault(layer: _Layer, trail: Trail, *, is_matrix: bool) -> str | None:
    """Why a layer cannot be edited as a head, or None if it can."""
    num_classes = layer.weight.shape[layer.class_axis]
    if layer.weight.is_shared:
        return "shares its weight with another layer"
    if num_classes < _MIN_CLASSES:
        return f"has {num_classes} output, which is no choice between classes"
    if layer.bias is not None and not layer.bias.is_vector(num_classes):
        return "has a bias that is not one constant a class"
    if not _gives_one_score_a_class(trail, num_classes, is_matrix=is_matrix):
        return f"leads to {trail.output.shape}, which is not one score a class"
    return None


def _read_gemm(node: gs.Node, added_bias: _Stored | None) -> _Layer | str:
    given = _pick(node.inputs[1:], 2)
    weight, own_bias = map(_resolve, given)
    if weight is None or len(weight.shape) != _MATRIX_RANK:
        return "has no constant weight matrix"
    if given[1] is not None and own_bias is None:
        return "has a bias that is not constant"
    beta = float(node.attrs.get("beta", 1.0))
    alpha = float(node.attrs.get("alpha", 1.0))
    if node.attrs.get("transA", 0) or alpha == 0 or beta == 0:
        return "is no plain layer: transA, or an alpha or beta of 0"
    if weight.params is not None and (alpha, beta) != (1.0, 1.0):
        return "is quantized, with an alpha or beta"
    if added_bias is not None and own_bias is not None:
        return "has two biases"
    has_rows = bool(node.attrs.get("transB", 0)) != weight.is_transposed
    return _Layer(
        features=node.inputs[0],
        weight=weight,
        bias=added_bias or own_bias,
        bias_scale=1.0 if added_bias else beta,
        class_axis=0 if has_rows else 1,
    )


def _read_matmul(node: gs.Node, bias: _Stored | None) -> _Layer | str:
    weight = _resolve(node.inputs[1])
    if weight is None or len(weight.shape) != _MATRIX_RANK:
        return "has no constant weight matrix on its right"
    class_axis = 0 if weight.is_transposed else 1
    return _Layer(features=node.inputs[0], weight=weight, bias=bias, class_axis=class_axis)


def _read_conv(node: gs.Node, added_bias: _Stored | None) -> _Layer | str:
    weight, own_bias = (_resolve(tensor) for tensor in _pick(node.inputs[1:], 2))
    if weight is None or weight.is_transposed or node.attrs.get("group", 1) != 1:
        return "has no constant weight, or groups"
    if any(extent != 1 for extent in weight.shape[2:]):
        return "is no 1x1 convolution"
    if added_bias is not None and (own_bias is not None or added_bias.shape[-2:] != (1, 1)):
        return "is followed by an Add that is no bias"
    return _Layer(features=node.inputs[0], weight=weight, bias=added_bias or own_bias, class_axis=0)


def _read_integer_product(node: gs.Node, bias: _Stored | None) -> _Layer | str:
    """MatMulInteger of a dynamically quantized layer, whose scales are multiplied in after it."""
    weight = _resolve(node.inputs[1])
    scale = _find_dynamic_scale(node)
    source = node.inputs[0].inputs[0] if node.inputs[0].inputs else None
    if weight is None or len(weight.shape) != _MATRIX_RANK or scale is None:
        return "has no constant weight matrix with a constant scale"
    if source is None or source.op != "DynamicQuantizeLinear":
        return "does not read the result of a DynamicQuantizeLinear"
    class_axis = 0 if weight.is_transposed else 1
    zero_point = _pick(node.inputs, 4)[3]
    params = QuantParams(
        scales=(scale.name,),
        zero_point=None if zero_point is None else zero_point.name,
        axis=class_axis,
    )
    return _Layer(
        features=source.inputs[0],
        weight=replace(weight, params=params),
        bias=bias,
        class_axis=class_axis,
    )


def _read_quantized(node: gs.Node, added_bias: _Stored | None) -> _Layer | str:
    """QGemm, QLinearMatMul and QLinearConv: operands with their scales and zero points."""
    weight = _resolve(node.inputs[_QUANTIZED_WEIGHT])
    own_bias = _resolve(_pick(node.inputs, 9)[_QUANTIZED_BIASES[node.op]])
    if weight is None or any(extent != 1 for extent in weight.shape[_MATRIX_RANK:]):
        return "has no constant weight matrix"
    if node.attrs.get("transA", 0) or node.attrs.get("group", 1) != 1:
        return "is no plain layer: transA, or groups"
    if node.attrs.get("alpha", 1.0) != 1:
        return "is quantized, with an alpha"
    has_rows = node.op == "QLinearConv" or bool(node.attrs.get("transB", 0))
    class_axis = 0 if has_rows != weight.is_transposed else 1
    weight_quant_params = read_quant_params(node, _QUANTIZED_WEIGHT + 1, axis=class_axis)
    if own_bias is not None:
        scales = (node.inputs[1].name, *weight_quant_params.scales)
        own_bias = replace(own_bias, params=QuantParams(scales=scales, zero_point=None))
    return _Layer(
        features=node.inputs[0],
        weight=replace(weight, params=weight_quant_params),
        bias=added_bias or own_bias,
        class_axis=class_axis,
        feature_quant_params=read_input_quant_params(node),
    )


_Reader = Callable[[gs.Node, _Stored | None], _Layer | str]
_READERS: Mapping[str, _Reader] = {
    "Gemm": _read_gemm,
    "MatMul": _read_matmul,
    "Conv": _read_conv,
    "MatMulInteger": _read_integer_product,
    "QGemm": _read_quantized,
    "QLinearMatMul": _read_quantized,
    "QLinearConv": _read_quantized,
}


def _skip_dynamic_scale(node: gs.Node) -> gs.Node:
    """The integer product before a Cast and the Mul of its scales; any other node as it is."""
    if node.op != "Mul" or not node.inputs[0].inputs:
        return node
    before = node.inputs[0].inputs[0]
    if before.op == "Cast" and before.inputs[0].inputs:
        product = before.inputs[0].inputs[0]
        return product if product.op == "MatMulInteger" else node
    return node


def _find_dynamic_scale(product: gs.Node) -> gs.Tensor | None:
    """The constant factor of the scales that an integer product is multiplied with."""
    multiplied = product
    for op in ("Cast", "Mul"):
        users = multiplied.outputs[0].outputs
        if len(users) != 1 or users[0].op != op:
            return None
        multiplied = users[0]
    scales = multiplied.inputs[1].inputs
    if not scales or scales[0].op != "Mul":
        return None
    constants = [tensor for tensor in scales[0].inputs if isinstance(tensor, gs.Constant)]
    return constants[0] if len(constants) == 1 else None


def _split_add(node: gs.Node) -> tuple[_Stored | None, gs.Node | None]:
    """The constant operand of an Add, in either order, and the node that computes the other."""
    places = (0, 1) if node.op == "Add" else (0, _QUANTIZED_WEIGHT)
    for position, operand in enumerate(places):
        other = _skip_rounding(node.inputs[places[1 - position]])
        constant = _resolve(node.inputs[operand])
        if constant is not None and other.inputs:
            params = constant.params if node.op == "Add" else read_quant_params(node, operand + 1)
            return replace(constant, params=params), other.inputs[0]
    return None, None


def _skip_rounding(tensor: gs.Tensor) -> gs.Tensor:
    """What was rounded by a QuantizeLinear and a DequantizeLinear."""
    while tensor.inputs and tensor.inputs[0].op in QUANTIZING:
        tensor = tensor.inputs[0].inputs[0]
    return tensor


def _gives_one_score_a_class(trail: Trail, num_classes: int, *, is_matrix: bool) -> bool:
    """By the output's declared shape; where that is open, by the layer and what follows it."""
    extents = list(trail.output.shape or [])[1:]
    if extents and all(isinstance(extent, int) for extent in extents):
        return math.prod(map(int, extents)) == num_classes
    return is_matrix or trail.is_pooled


def _pick(inputs: Sequence[gs.Tensor], count: int) -> list[gs.Tensor | None]:
    present = [None if tensor.is_empty() else tensor for tensor in inputs]
    return [*present, *[None] * count][:count]


def _resolve(tensor: gs.Tensor | None) -> _Stored | None:
    """The constant behind Identity, Cast, Transpose and DequantizeLinear nodes, or None."""
    is_transposed = False
    params = None
    while tensor is not None and tensor.inputs and tensor.inputs[0].op in _ALIASES:
        node = tensor.inputs[0]
        if node.op == "DequantizeLinear":
            params = read_input_quant_params(node)
        elif node.op == "Transpose":
            if params is not None:
                return None  # the grid's axis would be another one on what is stored
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
    return _Stored(
        name=tensor.name,
        shape=tuple(int(extent) for extent in shape),
        is_transposed=is_transposed,
        is_shared=len(tensor.outputs) > 1,
        params=params,
    )
