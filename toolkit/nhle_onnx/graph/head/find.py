"""Finding the classifier head: from an output back to the last learned layer."""

from dataclasses import replace

import onnx_graphsurgeon as gs
from onnx_graphsurgeon.logger.logger import G_LOGGER

from nhle_onnx.errors import UnsupportedModelError, UsageError
from nhle_onnx.graph.exporters import find_remedy
from nhle_onnx.graph.head.faults import find_tensor_fault
from nhle_onnx.graph.head.patterns.registry import read_layer
from nhle_onnx.graph.head.tail import TAIL, Map, skip_normalization
from nhle_onnx.graph.head.trail import Trail
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.node_quant_params import list_output_quant_params, read_input_quant_params
from nhle_onnx.hints import hint
from nhle_onnx.values.model import ClassifierHead, OnnxModel

G_LOGGER.severity = G_LOGGER.CRITICAL  # it prints to stdout, which is reserved for results
_REMEDY = "The output must be the scores of classes, from a Gemm, MatMul or 1x1 Conv layer."


def find_head(model: OnnxModel, *, output: str | None = None) -> ClassifierHead:
    """Find the layer that computes the scores of the named output, or of the only one with a head.

    Raises UnsupportedModelError with a reason for each output if no head is found, and UsageError
    if several outputs have heads and none was named.
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
        message = f"{model.path} has several classifier heads, at the outputs {choices}"
        raise UsageError(message, remedy=hint("Choose one with {output}."))
    head = next(iter(heads.values()))
    if fault := find_tensor_fault(GraphIndex(model.proto), head):
        message = f"{model.path} has a head that {fault}"
        raise UnsupportedModelError(message, remedy=_REMEDY)
    return head


def list_other_heads(model: OnnxModel, head: ClassifierHead) -> tuple[str, ...]:
    """List other outputs with a head of their own, such as an auxiliary classifier."""
    traced = [_trace(tensor) for tensor in gs.import_onnx(model.proto).outputs]
    return tuple(
        other.output
        for other in traced
        if isinstance(other, ClassifierHead) and other.node != head.node
    )


def _trace(output: gs.Tensor) -> ClassifierHead | str:
    """Walk back over nodes that keep the winning class to the layer, or say what stands there."""
    tensor, trail = output, Trail(output=output, scores=output.name)
    while tensor.inputs:
        node = tensor.inputs[0]
        scores = skip_normalization(node)
        if scores is not None:
            tensor = scores
            params = read_input_quant_params(node) if node.op.startswith("QLinear") else None
            trail = Trail(
                output=output,
                scores=tensor.name,
                scores_quant_params=params,
                is_separate=TAIL.get(node.op) is Map.SEPARATES,
            )
        elif node.op in TAIL:
            tensor = node.inputs[0]
            trail = replace(
                trail,
                is_pooled=trail.is_pooled or TAIL[node.op] is Map.POOLS,
                is_clamped=trail.is_clamped or TAIL[node.op] is Map.CLAMPS,
                limits=(*trail.limits, *list_output_quant_params(node)),
            )
        else:
            return read_layer(node, trail)
    return f"{output.name} is not computed by any node"
