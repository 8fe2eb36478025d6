"""Finding the classifier head: from the outputs back to the last learned layer."""

from dataclasses import replace

import onnx_graphsurgeon as gs
from onnx_graphsurgeon.logger.logger import G_LOGGER

from nhle_onnx.errors import UnsupportedModelError, UsageError
from nhle_onnx.graph.exporters import find_remedy
from nhle_onnx.graph.head_faults import find_tensor_fault
from nhle_onnx.graph.head_layers import Trail, read_layer
from nhle_onnx.graph.node_quant_params import (
    QUANTIZING,
    list_output_quant_params,
    read_input_quant_params,
)
from nhle_onnx.hints import hint
from nhle_onnx.values.model import ClassifierHead, OnnxModel

G_LOGGER.severity = G_LOGGER.CRITICAL  # it prints to stdout, where documents go
_NORMALIZING = frozenset({"Softmax", "LogSoftmax", "Sigmoid", "QLinearSoftmax", "QLinearSigmoid"})
_POOLING = frozenset(
    {
        "GlobalAveragePool", "GlobalMaxPool", "AveragePool", "ReduceMean",
        "QLinearGlobalAveragePool", "QLinearAveragePool",
    }
)  # fmt: skip
_CLAMPING = frozenset({"Relu", "Clip"})
_PASSING = frozenset({"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Dropout"})

_REMEDY = "The output must be the scores of classes, from a Gemm, MatMul or 1x1 Conv layer."


def find_head(model: OnnxModel, *, output: str | None = None) -> ClassifierHead:
    """The layer that computes the scores of the named output, or of the only one that has one.

    Raises UnsupportedModelError with the reason for each output where there is none, and
    UsageError where several outputs have one of their own and none was named.
    """
    graph = gs.import_onnx(model.proto)
    names = [tensor.name for tensor in graph.outputs]
    if output is not None and output not in names:
        message = f"{model.path} has no output {output}"
        raise UsageError(message, remedy=f"Its outputs are: {', '.join(names)}.")
    found = [_trace(tensor) for tensor in graph.outputs if output in (None, tensor.name)]
    heads = {head.node: head for head in reversed(found) if isinstance(head, ClassifierHead)}
    if not heads:
        reasons = "; ".join(str(reason) for reason in found)
        message = f"{model.path} has no classifier head: {reasons}"
        raise UnsupportedModelError(message, remedy=find_remedy(model.proto, _REMEDY))
    if len(heads) > 1:
        choices = ", ".join(head.output for head in reversed(heads.values()))
        message = f"{model.path} has several classifier heads, of the outputs {choices}"
        raise UsageError(message, remedy=hint("Choose one with {output}."))
    head = next(iter(heads.values()))
    if fault := find_tensor_fault(model.proto, head):
        message = f"{model.path} has a head that {fault}"
        raise UnsupportedModelError(message, remedy=_REMEDY)
    return head


def list_other_heads(model: OnnxModel, head: ClassifierHead) -> tuple[str, ...]:
    """Outputs with a head of their own beside the chosen one, such as an auxiliary classifier."""
    traced = [_trace(tensor) for tensor in gs.import_onnx(model.proto).outputs]
    return tuple(
        other.output
        for other in traced
        if isinstance(other, ClassifierHead) and other.node != head.node
    )


def _trace(output: gs.Tensor) -> ClassifierHead | str:
    """Walk back over what does not change which class wins, to the layer; or say what is there."""
    tensor, trail = output, Trail(output=output, scores=output.name)
    while tensor.inputs:
        node = tensor.inputs[0]
        before_softmax = _skip_decomposed_softmax(node)
        if before_softmax is None and node.op in _NORMALIZING:
            before_softmax = node.inputs[0]
        if before_softmax is not None:
            tensor = before_softmax
            params = read_input_quant_params(node) if node.op.startswith("QLinear") else None
            trail = Trail(output=output, scores=tensor.name, scores_quant_params=params)
        elif node.op in _PASSING | _POOLING | _CLAMPING | QUANTIZING:
            tensor = node.inputs[0]
            trail = replace(
                trail,
                is_pooled=trail.is_pooled or node.op in _POOLING,
                is_clamped=trail.is_clamped or node.op in _CLAMPING,
                limits=(*trail.limits, *list_output_quant_params(node)),
            )
        else:
            return read_layer(node, trail)
    return f"{output.name} is not computed by any node"


def _skip_decomposed_softmax(node: gs.Node) -> gs.Tensor | None:
    """X of exp(x - max x) / sum exp(x - max x), as Keras exporters write a softmax."""
    if node.op != "Div" or _op_of(node.inputs[1]) != "ReduceSum" or _op_of(node.inputs[0]) != "Exp":
        return None
    exponent = node.inputs[0].inputs[0].inputs[0]
    if _op_of(exponent) == "Sub" and _op_of(exponent.inputs[0].inputs[1]) == "ReduceMax":
        return exponent.inputs[0].inputs[0]
    return exponent


def _op_of(tensor: gs.Tensor) -> str:
    return tensor.inputs[0].op if tensor.inputs else ""
