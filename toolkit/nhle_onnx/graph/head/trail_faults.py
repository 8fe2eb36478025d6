"""Signs, on the way from heads to an output, that it does not hold the scores of classes."""

import math

import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.patterns.layer import MATRIX_RANK
from nhle_onnx.graph.head.tail_axes import describe_positions
from nhle_onnx.graph.head.trail import NO_ROW, Part, Trail
from nhle_onnx.values.model import ClassifierHead


def find_trail_fault(trail: Trail, output: gs.Tensor, parts: list[ClassifierHead]) -> str | None:
    """Return why a trail does not end in a classifier's scores, as the end of a sentence; None if
    it does.
    """
    layers = [part.logits for part in parts]
    rank = len(trail.shape or ()) or (MATRIX_RANK if trail.is_matrix else math.inf)
    counts_images_first = trail.axis is None or rank == 1 or trail.axis > -rank
    positions = [extent for extent in _read_shape(output)[1:] if extent > 1]
    faults = {
        describe_positions(positions): len(positions) > 1,
        "is stacked with other scores, and no node adds them up": trail.stacked is not None,
        f"leads to {output.shape}, which is not one score for each class": (
            not _gives_one_score_a_class(trail, output.shape)
        ),
        f"leads to {output.name}, whose first axis counts classes instead of images": (
            not counts_images_first
        ),
        "is added to itself": len(set(layers)) < len(layers),
        "is added to scores whose features it computes": len(parts) > 1
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
    """Judge by the output's declared shape or, if that is open, by the layers and the tail."""
    extents = list(shape or [])[1:]
    if extents and all(isinstance(extent, int) and extent > 0 for extent in extents):
        return math.prod(map(int, extents)) == trail.num_classes
    return trail.is_matrix or trail.is_pooled


def _read_shape(output: gs.Tensor) -> list[int]:
    """Read a declared shape, 0 for each axis that is open; some converters write that as -1."""
    return [max(0, axis) if isinstance(axis, int) else 0 for axis in output.shape or []]
