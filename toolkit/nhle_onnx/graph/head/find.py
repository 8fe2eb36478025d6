"""Finding the classifier head: from an output back to the last learned layer."""

import math
from dataclasses import replace

import numpy as np
import onnx_graphsurgeon as gs
from onnx import ModelProto
from onnx_graphsurgeon.logger.logger import G_LOGGER

from nhle_onnx.errors import UnsupportedModelError, UsageError
from nhle_onnx.graph.exporters import find_remedy
from nhle_onnx.graph.head.faults import find_tensor_fault
from nhle_onnx.graph.head.names import name_layer
from nhle_onnx.graph.head.patterns.layer import MATRIX_RANK
from nhle_onnx.graph.head.shapes import Shapes
from nhle_onnx.graph.head.tail_axes import describe_positions
from nhle_onnx.graph.head.trace import Tracer
from nhle_onnx.graph.head.trail import NO_ROW, Floats, Part, Trail
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.hints import hint
from nhle_onnx.text import describe_node
from nhle_onnx.values.model import ClassifierHead, OnnxModel

G_LOGGER.severity = G_LOGGER.CRITICAL  # it prints to stdout, which is reserved for results
_REMEDY = "The output must be the scores of classes, from a Gemm, MatMul or 1x1 Conv layer."
_CHOOSING = frozenset({"ArgMax", "TopK", "ZipMap"})
_MOVING = dict.fromkeys(("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"), 0)
_MOVING["ArrayFeatureExtractor"] = 1  # scikit-learn's labels, by the index of the best


def find_head(model: OnnxModel, *, output: str | None = None) -> ClassifierHead:
    """Find the layers that compute the scores of the named output or inner tensor, or of the only
    output with a head. Of an output that is only the best class, the scores that it is chosen from;
    of scores under the names of classes, the scores.

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
    """List the heads of all outputs, and of scores that an output is chosen from."""
    graph, tracer = _open_graph(proto)
    chosen = [scores for tensor in graph.outputs if (scores := _find_chosen(tensor)) is not None]
    found = [_read_head(tracer, tensor) for tensor in (*graph.outputs, *chosen)]
    return tuple(head for head in found if isinstance(head, ClassifierHead))


def _open_graph(proto: ModelProto) -> tuple[gs.Graph, Tracer]:
    """The graph and its tracer; what the graph measures itself has its shape noted."""
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
    """Return the scores from which a tensor holds the best classes alone, or that it names."""
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
    """Return the head whose scores an output holds, or what stands in the way."""
    trail = tracer.trace(output)
    if isinstance(trail, str):
        return trail
    parts = [_finish(part) for part in trail.parts]
    fault = _find_fault(trail, output, parts)
    if fault:
        return f"{name_layer(trail.parts[0].head)} {fault}"
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
    """Return one number where all are equal, and none where they are as usual."""
    if (values == values[0]).all():
        return () if values[0] == usual else (float(values[0]),)
    return tuple(values.tolist())


def _find_fault(trail: Trail, output: gs.Tensor, parts: list[ClassifierHead]) -> str | None:
    """Return why what was found is not a classifier's head, as the end of a sentence."""
    layers = [part.logits for part in parts]
    rank = len(trail.shape or ()) or (MATRIX_RANK if trail.is_matrix else math.inf)
    counts_images_first = trail.axis is None or rank == 1 or trail.axis > -rank
    positions = [extent for extent in _read_shape(output)[1:] if extent > 1]
    faults = {
        describe_positions(positions): len(positions) > 1,
        "is stacked with others, which no node adds up": trail.stacked is not None,
        f"leads to {output.shape}, which is not one score for each class": (
            not _gives_one_score_a_class(trail, output.shape)
        ),
        f"leads to {output.name}, whose first axis counts classes instead of images": (
            not counts_images_first
        ),
        "is added to itself": len(set(layers)) < len(layers),
        "is added to scores that it computes the features of": len(parts) > 1
        and _feeds_another(output, parts),
        "has no class left": not all((part.rows != NO_ROW).any() for part in trail.parts),
        "gives two classes one row": any(map(_repeats_row, trail.parts)),
        "is quantized, and classes are moved or shifted behind it": (
            _is_quantized(trail, parts) and not all(map(_is_only_scaled, parts))
        ),
    }
    return next((fault for fault, is_there in faults.items() if is_there), None)


def _feeds_another(output: gs.Tensor, parts: list[ClassifierHead]) -> bool:
    """Whether a part's rows are also features of another part, which would change with them."""
    logits = {part.logits for part in parts}
    tensors = _list_ancestors([output])
    features = [tensors[part.features] for part in parts if part.features in tensors]
    return not logits.isdisjoint(_list_ancestors(features))


def _list_ancestors(tensors: list[gs.Tensor]) -> dict[str, gs.Tensor]:
    """List tensors and all that they are computed from."""
    waiting, found = list(tensors), {}
    while waiting:
        tensor = waiting.pop()
        if tensor.name not in found:
            found[tensor.name] = tensor
            waiting += [each for node in tensor.inputs for each in node.inputs]
    return found


def _repeats_row(part: Part) -> bool:
    rows = part.rows[part.rows != NO_ROW].tolist()
    return len(set(rows)) < len(rows)


def _is_quantized(trail: Trail, parts: list[ClassifierHead]) -> bool:
    return bool(trail.limits) or any(part.has_steps for part in parts)


def _is_only_scaled(part: ClassifierHead) -> bool:
    """Whether nothing but one positive factor stands between a layer and the scores."""
    is_moved = bool(part.rows or part.offsets)
    return not is_moved and len(part.scales) <= 1 and min(part.scales, default=1.0) > 0


def _gives_one_score_a_class(trail: Trail, shape: list[int | str] | None) -> bool:
    """Judge by the output's declared shape or, where that is open, by layers and tail."""
    extents = list(shape or [])[1:]
    if extents and all(isinstance(extent, int) and extent > 0 for extent in extents):
        return math.prod(map(int, extents)) == trail.num_classes
    return trail.is_matrix or trail.is_pooled


def _read_shape(output: gs.Tensor) -> list[int]:
    """Read a declared shape, 0 for each axis that is open; some converters write that as -1."""
    return [max(0, axis) if isinstance(axis, int) else 0 for axis in output.shape or []]
