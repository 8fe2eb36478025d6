"""Finding the classifier head: from an output back to the last learned layer."""

from dataclasses import replace

import numpy as np
import onnx_graphsurgeon as gs
from onnx import ModelProto
from onnx_graphsurgeon.logger.logger import G_LOGGER

from nhle_onnx.errors import UnsupportedModelError, UsageError
from nhle_onnx.graph.exporters import find_remedy
from nhle_onnx.graph.head.faults import find_tensor_fault
from nhle_onnx.graph.head.names import name_layer
from nhle_onnx.graph.head.shapes import Shapes
from nhle_onnx.graph.head.trace import Tracer
from nhle_onnx.graph.head.trail import Floats, Part
from nhle_onnx.graph.head.trail_faults import find_trail_fault
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.hints import hint
from nhle_onnx.text import describe_node
from nhle_onnx.values.model import ClassifierHead, OnnxModel

G_LOGGER.severity = G_LOGGER.CRITICAL  # it would print to stdout, which is reserved for results
_REMEDY = "The output must be the scores of classes, from a Gemm, MatMul or 1x1 Conv layer."
_CHOOSING = frozenset({"ArgMax", "TopK", "ZipMap"})
_MOVING = dict.fromkeys(("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"), 0)
_MOVING["ArrayFeatureExtractor"] = 1  # scikit-learn's labels, by the index of the best


def find_head(model: OnnxModel, *, output: str | None = None) -> ClassifierHead:
    """Find the layers that compute the scores of the named output or inner tensor, or of the only
    output with a head. If an output holds only the best classes, or scores by the names of classes,
    the scores are those that it is made from.

    Raises UnsupportedModelError with a reason for each output if no head is found, and UsageError
    if several outputs have heads and none was named.
    """
    graph, tracer = _open_graph(model.proto)
    tensors = _choose_tensors(model, graph, output)
    found = [_read_head(tracer, tensor) for tensor in tensors]
    if not any(isinstance(head, ClassifierHead) for head in found):
        chosen = [scores for tensor in tensors if (scores := _find_chosen(tensor)) is not None]
        found = [_read_head(tracer, tensor) for tensor in chosen] or found
    heads = _list_distinct([head for head in found if isinstance(head, ClassifierHead)])
    if not heads:
        reasons = "; ".join(str(reason) for reason in found)
        message = f"{model.path} has no classifier head: {reasons}"
        named = [
            node
            for node in model.proto.graph.node
            if describe_node(node.op_type, node.name, node.output) in reasons
        ]
        raise UnsupportedModelError(message, remedy=find_remedy(named, _REMEDY))
    if len(heads) > 1:
        choices = ", ".join(head.output for head in heads)
        message = f"{model.path} has several classifier heads, at the outputs {choices}"
        raise UsageError(message, remedy=hint("Choose one with {graph_output}."))
    for part in heads[0].all_parts:
        if fault := find_tensor_fault(GraphIndex(model.proto), part):
            raise UnsupportedModelError(f"{model.path} has a head that {fault}", remedy=_REMEDY)
    return heads[0]


def list_other_heads(model: OnnxModel, head: ClassifierHead) -> tuple[str, ...]:
    """List other outputs with a head of their own, such as an auxiliary classifier."""
    graph, tracer = _open_graph(model.proto)
    traced = [_read_head(tracer, tensor) for tensor in graph.outputs]
    return tuple(
        other.output
        for other in traced
        if isinstance(other, ClassifierHead) and not _list_layers(other) <= _list_layers(head)
    )


def list_heads(proto: ModelProto) -> tuple[ClassifierHead, ...]:
    """List the heads of all outputs, and of the scores from which an output takes the best."""
    graph, tracer = _open_graph(proto)
    chosen = [scores for tensor in graph.outputs if (scores := _find_chosen(tensor)) is not None]
    found = [_read_head(tracer, tensor) for tensor in (*graph.outputs, *chosen)]
    return tuple(head for head in found if isinstance(head, ClassifierHead))


def _open_graph(proto: ModelProto) -> tuple[gs.Graph, Tracer]:
    """Return the graph, with the shapes that its Shape nodes measure, and a tracer for it."""
    graph, shapes = gs.import_onnx(proto), Shapes(proto)
    for node in graph.nodes:
        measured = node.inputs[0] if node.op == "Shape" else None
        if isinstance(measured, gs.Variable):
            measured.shape = shapes.find(measured)
    return graph, Tracer(shapes)


def is_output(proto: ModelProto, name: str) -> bool:
    """Whether a tensor is an output of the graph."""
    return any(value.name == name for value in proto.graph.output)


def _choose_tensors(model: OnnxModel, graph: gs.Graph, output: str | None) -> list[gs.Tensor]:
    """Return the named tensor, or all outputs. Raises UsageError where there is no such tensor."""
    if output is None:
        return list(graph.outputs)
    tensors = graph.tensors()
    if output not in tensors:
        names = ", ".join(tensor.name for tensor in graph.outputs)
        message = f"{model.path} has no output {output}"
        raise UsageError(message, remedy=f"Its outputs are: {names}.")
    return [tensors[output]]


def _find_chosen(tensor: gs.Tensor) -> gs.Tensor | None:
    """Return the scores from which a tensor takes the best classes, or which it stores by the names
    of classes; None for any other tensor.
    """
    node = _find_producer(tensor)
    while node is not None and node.op in _MOVING and len(node.inputs) > _MOVING[node.op]:
        node = _find_producer(node.inputs[_MOVING[node.op]])
    if node is None or node.op not in _CHOOSING or not node.inputs:
        return None
    scores: gs.Tensor = node.inputs[0]
    return scores


def _find_producer(tensor: gs.Tensor) -> gs.Node | None:
    return tensor.inputs[0] if tensor.inputs else None


def _list_layers(head: ClassifierHead) -> frozenset[str]:
    return frozenset(part.logits for part in head.all_parts)


def _list_distinct(heads: list[ClassifierHead]) -> list[ClassifierHead]:
    """Leave out heads whose layers are all in another; of equal ones, the first stays."""
    first = {_list_layers(head): head for head in reversed(heads)}
    largest = [head for layers, head in first.items() if not any(layers < each for each in first)]
    return list(reversed(largest))


def _read_head(tracer: Tracer, output: gs.Tensor) -> ClassifierHead | str:
    """Return the head whose scores an output holds, or why it holds no scores."""
    trail = tracer.trace(output)
    if isinstance(trail, str):
        return trail
    parts = [_finish(part) for part in trail.parts]
    fault = find_trail_fault(trail, output, parts)
    if fault:
        return f"{name_layer(trail.parts[0].head)} {fault}"
    if not all(map(_is_finite, parts)):
        return f"{name_layer(trail.parts[0].head)} has a factor or summand that is not finite"
    main, *others = (replace(part, num_classes=trail.num_classes) for part in parts)
    return replace(
        main,
        parts=tuple(others),
        scores=trail.scores,
        scores_quant_params=trail.scores_quant_params,
        score_quant_params=trail.limits,
        is_clamped=trail.is_clamped,
        is_capped=trail.is_capped,
        is_separate=trail.is_separate,
        output=output.name,
    )


def _is_finite(head: ClassifierHead) -> bool:
    numbers = (head.weight_scale, head.bias_scale, *head.row_scales, *head.scales, *head.offsets)
    return bool(np.isfinite(numbers).all())


def _finish(part: Part) -> ClassifierHead:
    is_own = (
        len(part.rows) == part.head.num_classes and (part.rows == np.arange(len(part.rows))).all()
    )
    return replace(
        part.head,
        rows=() if is_own else tuple(part.rows.tolist()),
        scales=_shorten(part.scales, 1.0),
        offsets=_shorten(part.offsets, 0.0),
    )


def _shorten(values: Floats, usual: float) -> tuple[float, ...]:
    """Return one number where all are equal, and () where all are as usual."""
    if (values == values[0]).all():
        return () if values[0] == usual else (float(values[0]),)
    return tuple(values.tolist())
