"""Arithmetic on trails: scores multiplied, shifted, chosen, added up and joined, class by class.

Where a step does not keep the order of the scores, a function returns how, as the end of a sentence
that begins with the head.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnx_graphsurgeon as gs

from nhle_onnx.graph.head.shapes import Shapes
from nhle_onnx.graph.head.trail import NO_ROW, Floats, Indices, Part, Trail
from nhle_onnx.values.model import ClassifierHead

_LOWEST = -float(np.finfo(np.float32).max)
_HOMOGENEOUS = frozenset({"Relu", "LeakyRelu"})  # f(a · z) = a · f(z) for a > 0
_NO_HEAD = ClassifierHead(
    op="", node="", weight="", bias=None, bias_scale=1.0, class_axis=0, num_classes=0,
    feature_dim=0, features="", logits="", scores="", is_clamped=False, output="",
)  # fmt: skip


def make_constant_trail(values: Floats, tensor: gs.Tensor, shapes: Shapes) -> Trail:
    """Return the trail of classes with constant scores, which a graph joins to other classes."""
    part = Part(
        head=_NO_HEAD,
        rows=np.full(len(values), NO_ROW),
        scales=np.ones(len(values)),
        offsets=values.clip(min=_LOWEST),
    )
    return Trail(
        parts=(part,), num_classes=len(values), axis=None, tensor=tensor, shapes=shapes,
        scores=tensor.name,
    )  # fmt: skip


def scale(trail: Trail, factors: Floats, name: str) -> Trail | str:
    """Multiply each class's score by a constant. A factor of 0 makes the score a constant."""
    if not trail.bend:
        dropped = _drop_rows(trail, factors == 0, 0.0)
        return dropped.change(
            lambda part: replace(part, scales=part.scales * factors, offsets=part.offsets * factors)
        )
    given = factors[factors != 0]
    if not len(given) or given[0] <= 0 or (given != given[0]).any():
        return f"is followed by {name}, which weights the classes behind {trail.bend}"
    scaled = _drop_rows(trail, factors == 0, 0.0)
    if trail.is_frozen or trail.bend not in _HOMOGENEOUS:
        return scaled
    return scaled.change(lambda part: replace(part, scales=part.scales * given[0]))


def negate(trail: Trail, name: str) -> Trail | str:
    """Multiply each class's score by -1."""
    return scale(trail, np.full(trail.num_classes, -1.0), name)


def shift(trail: Trail, amounts: Floats, name: str) -> Trail | str:
    """Add a constant to each class's score. Minus infinity makes the score a constant."""
    finite = amounts[amounts > _LOWEST]
    shifted = _drop_rows(trail, amounts <= _LOWEST, _LOWEST)
    if not trail.bend:
        first, *others = shifted.parts
        offsets = np.where(amounts > _LOWEST, first.offsets + amounts, first.offsets)
        return replace(shifted, parts=(replace(first, offsets=offsets), *others))
    if (finite != finite[:1]).any():
        return f"is followed by {name}, which favours classes behind {trail.bend}"
    return replace(shifted, is_positive=trail.is_positive and bool((amounts >= 0).all()))


def hide(trail: Trail, is_hidden: npt.NDArray[np.bool_], value: float) -> Trail:
    """Replace the scores of some classes by a constant."""
    return _drop_rows(trail, is_hidden, value)


def take(trail: Trail, indices: Indices) -> Trail:
    """Return the trail of the classes at `indices`, in that order."""
    taken = trail.change(
        lambda part: replace(
            part,
            rows=part.rows[indices],
            scales=part.scales[indices],
            offsets=part.offsets[indices],
        )
    )
    return replace(taken, num_classes=len(indices))


def add(trails: list[Trail], tensor: gs.Tensor) -> Trail | str:
    """Add scores, class by class."""
    first = trails[0]
    if len({(trail.num_classes, trail.axis) for trail in trails}) > 1:
        return "is added to scores of other classes"
    return _merge(trails, tensor, tuple(part for trail in trails for part in trail.parts), first)


def concatenate(trails: list[Trail], tensor: gs.Tensor) -> Trail | str:
    """Put the classes of several tensors one after the other."""
    bends = {trail.bend for trail in trails if _has_head(trail)}
    if len(bends) > 1:
        return f"is joined with scores that follow other functions: {', '.join(sorted(bends))}"
    sizes = [trail.num_classes for trail in trails]
    starts = np.cumsum([0, *sizes])
    parts: list[Part] = []
    for trail, start in zip(trails, starts, strict=False):
        for part in trail.parts:
            wide = _widen(part, int(start), int(starts[-1]))
            same = next(
                (index for index, each in enumerate(parts) if each.head.logits == part.head.logits),
                None,
            )
            if same is None:
                parts.append(wide)
            else:
                parts[same] = _unite(parts[same], wide)
    heads = [part for part in parts if part.head is not _NO_HEAD]
    constants = sum((part.offsets for part in parts if part.head is _NO_HEAD), np.zeros(starts[-1]))
    heads[0] = replace(heads[0], offsets=heads[0].offsets + constants)
    first = next(trail for trail in trails if _has_head(trail))
    return replace(
        _merge([trail for trail in trails if _has_head(trail)], tensor, tuple(heads), first),
        num_classes=int(starts[-1]),
    )


def _merge(trails: list[Trail], tensor: gs.Tensor, parts: tuple[Part, ...], first: Trail) -> Trail:
    return replace(
        first,
        parts=parts,
        tensor=tensor,
        scores=tensor.name,
        bend=next((trail.bend for trail in trails if trail.bend), ""),
        is_frozen=False,
        limits=tuple(limit for trail in trails for limit in trail.limits),
        is_matrix=all(trail.is_matrix for trail in trails),
        is_pooled=all(trail.is_pooled for trail in trails),
        is_clamped=any(trail.is_clamped for trail in trails),
        is_capped=any(trail.is_capped for trail in trails),
        is_separate=any(trail.is_separate for trail in trails),
        is_normalized=all(trail.is_normalized for trail in trails),
        is_positive=all(trail.is_positive for trail in trails),
    )


def _has_head(trail: Trail) -> bool:
    return trail.parts[0].head is not _NO_HEAD


def _widen(part: Part, start: int, count: int) -> Part:
    """Place a part's classes from `start` on among `count` classes."""
    here = slice(start, start + len(part.rows))
    rows, scales, offsets = np.full(count, NO_ROW), np.ones(count), np.zeros(count)
    rows[here], scales[here], offsets[here] = part.rows, part.scales, part.offsets
    return replace(part, rows=rows, scales=scales, offsets=offsets)


def _unite(one: Part, other: Part) -> Part:
    """Unite two slices of one head."""
    is_first = one.rows != NO_ROW
    return replace(
        one,
        rows=np.where(is_first, one.rows, other.rows),
        scales=np.where(is_first, one.scales, other.scales),
        offsets=one.offsets + other.offsets,
    )


def _drop_rows(trail: Trail, is_dropped: npt.NDArray[np.bool_], value: float) -> Trail:
    """Make the scores of some classes a constant."""
    if not is_dropped.any():
        return trail
    first, *others = trail.change(
        lambda part: replace(
            part,
            rows=np.where(is_dropped, NO_ROW, part.rows),
            scales=np.where(is_dropped, 1.0, part.scales),
            offsets=np.where(is_dropped, 0.0, part.offsets),
        )
    ).parts
    first = replace(first, offsets=np.where(is_dropped, max(value, _LOWEST), first.offsets))
    return replace(trail, parts=(first, *others))
