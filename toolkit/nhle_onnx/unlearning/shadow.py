"""CWM on heads whose rows are not the classes: the class's row follows what lies behind it.

Class k has the score Σ over parts of scale_k · (row_k · features + bias_k) + offset_k. The masked
class takes each part's row of a retained class, divided by its own scale, so that its score is that
class's less a margin, for every input.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.head import Head, HeadRows, Places
from nhle_onnx.hints import hint
from nhle_onnx.unlearning.cwm import (
    LOW_SCORE,
    find_important_units,
    find_margin,
    is_read_alone,
    outweigh,
)
from nhle_onnx.values.request import ForgetRequest, Mask

_LARGEST_FACTOR = 1e3  # behind larger ones, the margin would be lost in the rounding of logits

Array = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A part's numbers, with its weight as rows [R, D]; writing reaches them."""

    head: Head
    places: Places
    rows: Array
    bias: Array

    def write(self) -> None:
        layout = self.head.layout
        shape = np.moveaxis(self.head.read().weight, layout.class_axis, 0).shape
        weight = np.moveaxis(self.rows.reshape(shape), 0, layout.class_axis)
        self.head.write(weight, self.bias)


def mask_parts(
    head: Head, request: ForgetRequest, mask: Mask, activations: Array | None = None
) -> None:
    """Mask every part of a head, in place. The meaning of each mask is that of `mask_classes`.

    Raises UnsupportedModelError where a class has no row, or no retained class has the same parts.
    """
    effective = head.rows
    shadowed = {index: _find_shadow(head, effective, request, index) for index in request.forget}
    for part in head.parts:
        layer = _open(part)
        for position, (index, other) in enumerate(shadowed.items()):
            if not layer.places.is_there[index]:
                continue
            if mask == "convex":
                _copy_row(layer, index, other)
            elif mask == "importance":
                _clear_units(layer, index, activations, position)
            else:
                _fill_row(layer, index, other)
                low = _find_low_bias(head, layer, index) if mask == "floor" else 0
                layer.bias[layer.places.rows[index]] = low
        layer.write()


def _open(part: Head) -> _Layer:
    weight, bias = part.read()
    moved = np.moveaxis(weight, part.layout.class_axis, 0)
    return _Layer(
        head=part, places=part.places, rows=moved.reshape(len(moved), -1).copy(), bias=bias.copy()
    )


def _find_shadow(head: Head, rows: HeadRows, request: ForgetRequest, index: int) -> int:
    """Return the retained class of the same parts whose row is nearest to the mean of theirs."""
    parts = [part.places.is_there for part in head.parts]
    if not any(is_there[index] for is_there in parts):
        message = f"the score of class {index} is a constant of the graph: no row computes it"
        raise UnsupportedModelError(message, remedy="Forget it where that constant is written.")
    alike = [
        other
        for other in request.retained
        if all(is_there[other] == is_there[index] for is_there in parts)
    ]
    if not alike:
        message = f"class {index} has a layer of its own, which computes no retained class"
        raise UnsupportedModelError(
            message, remedy=hint("Use {method=nhle}, which trains the features.")
        )
    scales = np.array(
        [
            _list_scales(part) if part.layout.is_normalized else part.places.scales
            for part in head.parts
        ]
    )
    same = [other for other in alike if (scales[:, other] == scales[:, index]).all()]
    alike = same or alike  # a row that need not be scaled is not rounded
    weight = rows.weight[alike]
    return alike[int(np.linalg.norm(weight - weight.mean(0), axis=1).argmin())]


def _list_scales(part: Head) -> Array:
    """List what each class's stored row is multiplied by, up to its score."""
    scales: Array = part.places.scales * part.row_scales[part.places.rows, 0]
    return scales


def _copy_row(layer: _Layer, index: int, other: int) -> None:
    """Give a class another one's row, and its score less the margin."""
    places, scale = layer.places, layer.head.layout.bias_scale
    row, source = places.rows[index], places.rows[other]
    ratio = places.scales[other] / places.scales[index]
    gap = places.offsets[other] - places.offsets[index]
    scales = _list_scales(layer.head)
    factor = float(scales[other] / scales[index])
    if layer.head.layout.is_normalized and abs(factor) != 1:
        message = (
            f"class {index} cannot have the row of class {other}: the graph divides rows by their "
            "lengths, and multiplies them by other factors"
        )
        raise UnsupportedModelError(message, remedy=hint("Give {mask=floor}."))
    layer.rows[row] = layer.rows[source] * layer.rows.dtype.type(factor)
    level = float(layer.bias[source] * ratio + gap / (scale * places.scales[index]))
    margin = _find_margin(layer, index) / (scale * places.scales[index])
    layer.bias[row] = level - outweigh(margin, level, layer.bias)


def _find_margin(layer: _Layer, index: int) -> float:
    """Return the margin in scores, which must also be one in the layer's own numbers."""
    largest = 1.0 if layer.bias.dtype == np.float16 else _LARGEST_FACTOR
    factor = abs(float(layer.places.scales[index]))
    return find_margin(layer.bias) * max(1.0, factor / largest)


def _clear_units(layer: _Layer, index: int, activations: Array | None, position: int) -> None:
    if activations is None:
        raise ValueError("the importance mask needs mean activations")
    units = find_important_units(activations[position])
    layer.rows[layer.places.rows[index], units] = 0


def _fill_row(layer: _Layer, index: int, other: int) -> None:
    """Make a row one of zeros. A row without length keeps another's."""
    rows, places = layer.rows, layer.places.rows
    rows[places[index]] = rows[places[other]] if layer.head.layout.is_normalized else 0


def _find_low_bias(head: Head, layer: _Layer, index: int) -> float:
    """Return a part's share in the lowest score of a class, or in one that is low enough."""
    parts = [part.places for part in head.parts]
    count = sum(bool(places.is_there[index]) for places in parts)
    factor = layer.head.layout.bias_scale * float(layer.places.scales[index])
    lowest = float(np.finfo(layer.bias.dtype).min)
    if is_read_alone(head.layout):
        offset = sum(places.offsets[index] for places in parts)
        return float(np.clip((LOW_SCORE - offset) / count / factor, lowest, -lowest))
    return lowest / count / max(1.0, abs(factor)) * float(np.sign(factor))
