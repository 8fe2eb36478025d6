"""Which tensors of a graph can be trained, and which operators prevent training."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from nhle_onnx.errors import NotFiniteError, UnsupportedModelError
from nhle_onnx.graph.element_types import get_element_type, is_quantized
from nhle_onnx.graph.exporters import find_remedy
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.node_quant_params import QUANTIZING
from nhle_onnx.graph.subgraph import list_ancestors
from nhle_onnx.graph.tensors import is_float, list_tensors
from nhle_onnx.hints import hint
from nhle_onnx.lowering.operators import Operator, find_operator
from nhle_onnx.text import describe_node
from nhle_onnx.values.model import ClassifierHead, OnnxModel

# A tensor behind these is still the same weight.
_ALIASES = frozenset(
    {
        "Identity",
        "Transpose",
        "Reshape",
        "Cast",
        "Squeeze",
        "Unsqueeze",
        "QuantizeLinear",
        "DequantizeLinear",
    }
)
_OPERANDS = {**dict.fromkeys(QUANTIZING, 1), "MatMulNBits": 2}  # the inputs before its scales
_HEAD_TEMPLATE = "Use {method=cwm} to edit the head alone."
_HEAD_ALONE = hint(_HEAD_TEMPLATE)
_HIDDEN = -1e4  # masks in float16 have this; no trained bias comes near it


@dataclass(frozen=True, slots=True)
class UnsupportedNode:
    """A node that cannot be lowered; `place` names it for people."""

    place: str
    op_type: str
    domain: str


def list_unsupported(proto: ModelProto, opset: int, output: str) -> tuple[UnsupportedNode, ...]:
    """List every node on the way to `output` whose operator has no row in the table."""
    return tuple(
        UnsupportedNode(
            describe_node(node.op_type, node.name, node.output), node.op_type, node.domain
        )
        for node in list_ancestors(proto.graph, (output,))
        if find_operator(node.domain, node.op_type, opset) is None
    )


def check_operators(model: OnnxModel, output: str) -> None:
    """Raise UnsupportedModelError if a node before `output`, or a constant, cannot be lowered."""
    unsupported = list_unsupported(model.proto, model.opset, output)
    if unsupported:
        message = f"{model.path} uses {describe_operators(unsupported)}"
        remedy = hint(f"{find_remedy(unsupported, '')} {_HEAD_TEMPLATE}".strip())
        raise UnsupportedModelError(message, remedy=remedy)
    for name, kind in list_unsupported_tensors(model.proto):
        message = f"{model.path}: the tensor {name} is {kind}, which cannot be trained"
        raise UnsupportedModelError(message, remedy=_HEAD_ALONE)


def name_operators(nodes: Iterable[UnsupportedNode]) -> tuple[str, ...]:
    """List the operators of nodes, sorted, each once and with its domain."""
    return tuple(sorted({f"{node.domain or 'ai.onnx'}.{node.op_type}" for node in nodes}))


def describe_operators(nodes: Sequence[UnsupportedNode]) -> str:
    """Say which operators cannot be trained, and where the first of them is."""
    names = ", ".join(name_operators(nodes))
    return f"operators that cannot be trained: {names}; first at {nodes[0].place}"


def list_unsupported_tensors(proto: ModelProto) -> Iterator[tuple[str, str]]:
    """Return constants that cannot be lowered, with their kind."""
    for sparse in proto.graph.sparse_initializer:
        yield sparse.values.name, "sparse"
    for name, tensor in list_tensors(proto):
        kind = get_element_type(tensor.data_type)
        if kind.bits and kind.torch is None:
            yield name, f"of type {kind.name.upper()}"


def list_weights(
    proto: ModelProto, opset: int, output: str, constants: Collection[str] = ()
) -> tuple[str, ...]:
    """List the names of the weights on the way to `output`, in order of use.

    Only inputs that hold weights by the operator's definition count. A scalar operand of plain
    arithmetic (the 3 and 6 of a hard swish) is a constant of the network, not a weight, and so is
    an attention mask. `constants` are inputs that the user gave a value for: not weights either.
    """
    tensors = {
        name: each for name, each in GraphIndex(proto).tensors.items() if name not in constants
    }
    nodes = list_ancestors(proto.graph, (output,))
    producers = {name: node for node in nodes for name in node.output}
    found: dict[str, None] = {}
    for node in nodes:
        operator = find_operator(node.domain, node.op_type, opset)
        if operator is None or _is_product_of_scales(node, producers):
            continue
        for position in operator.weights:
            source, has_scale = _resolve_alias(node, position, producers)
            if source in tensors and _is_weight(tensors[source], operator, has_scale=has_scale):
                found[source] = None
    return tuple(found)


def list_left_out(proto: ModelProto, opset: int, output: str) -> tuple[tuple[str, str], ...]:
    """List constant matrices on the way to `output` that `list_weights` leaves out, each with the
    operator that reads it.
    """
    weights, tensors = {*list_weights(proto, opset, output)}, GraphIndex(proto).tensors
    return tuple(
        (name, node.op_type)
        for node in list_ancestors(proto.graph, (output,))
        for name in node.input[: _OPERANDS.get(node.op_type)]
        if name in tensors.keys() - weights and _is_matrix(tensors[name])
    )


def _is_matrix(tensor: TensorProto) -> bool:
    holds_numbers = is_float(tensor) or is_quantized(tensor.data_type)
    has_rows = len(tensor.dims) > 1 and math.prod(tensor.dims) > max(tensor.dims)
    return holds_numbers and has_rows and not (is_float(tensor) and _is_mask(tensor))


def list_not_finite(model: OnnxModel, head: ClassifierHead) -> tuple[str, ...]:
    """List weights with NaN or an infinity: those on the way to the scores, and the head's."""
    tensors = GraphIndex(model.proto).tensors
    own = [name for part in head.all_parts for name in (part.weight, part.bias) if name]
    weights = list_weights(model.proto, model.opset, head.scores, model.constants)
    names = dict.fromkeys([*weights, *own])
    floats = [name for name in names if is_float(tensors[name])]
    return tuple(name for name in floats if not _is_finite(tensors[name]))


def check_weights(model: OnnxModel, head: ClassifierHead) -> None:
    """Raise NotFiniteError where a weight is NaN or infinite, which training would spread."""
    names = list_not_finite(model, head)
    if names:
        message = f"{model.path}: the weight {names[0]} holds NaN or an infinity"
        raise NotFiniteError(message, remedy="Export the model again from finite weights.")


def _is_finite(tensor: TensorProto) -> bool:
    values = numpy_helper.to_array(tensor)
    with np.errstate(invalid="ignore"):
        ends = [float(values.min(initial=0)), float(values.max(initial=0))]  # NaN is both
    return bool(np.isfinite(ends).all())


def _is_product_of_scales(node: NodeProto, producers: dict[str, NodeProto]) -> bool:
    """Whether a node multiplies scales: one operand is the scale of a DynamicQuantizeLinear."""
    return node.op_type == "Mul" and any(
        name in producers
        and producers[name].op_type == "DynamicQuantizeLinear"
        and name == producers[name].output[1]
        for name in node.input
    )


def _resolve_alias(
    node: NodeProto, position: int, producers: dict[str, NodeProto]
) -> tuple[str, bool]:
    """Return the tensor behind an input, and whether it is dequantized by a scale."""
    name = node.input[position] if position < len(node.input) else ""
    has_scale = False
    while name in producers and producers[name].op_type in _ALIASES:
        has_scale |= producers[name].op_type == "DequantizeLinear"
        name = producers[name].input[0]
    return name, has_scale


def _is_weight(tensor: TensorProto, operator: Operator, *, has_scale: bool) -> bool:
    if not is_float(tensor) and not (
        is_quantized(tensor.data_type) and (has_scale or operator.reads_integers)
    ):
        return False
    size = math.prod(tensor.dims)
    match operator.family:
        case "elementwise" | "quantized_elementwise":
            return size > 1 and not (is_float(tensor) and _is_mask(tensor))
        case "shape":
            return size > 1 and len(tensor.dims) > 1  # a vector may be the scales of a Resize
        case _:
            return True


def _is_mask(tensor: TensorProto) -> bool:
    """Whether a constant hides positions with -inf or a huge number, as attention masks do."""
    values = numpy_helper.to_array(tensor).astype(np.float32)
    return bool((~np.isfinite(values) | (values <= _HIDDEN)).any())
