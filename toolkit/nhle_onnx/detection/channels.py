"""What each channel of a layer does: raise and lower it, and see which scores rise and fall.

The graph behind the layers runs in ONNX Runtime, so any reshaping, decoding, sigmoid, softmax or
product with an objectness is followed without knowing it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.detection.layers import cut_tail, list_tail_inputs
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.model import ClassifierHead

_STEP = 2.0
_LEAST = 1e-4  # change of a score

Flags = npt.NDArray[np.bool_]
Feeds = Mapping[str, npt.NDArray[np.generic]]


class Effect(NamedTuple):
    """Which columns of the scores a channel raises and lowers, and for which anchors."""

    layer: ClassifierHead
    channel: int
    raises: frozenset[int]
    lowers: frozenset[int]
    anchors: tuple[int, ...]


def trace_channels(
    proto: ModelProto, layers: Sequence[ClassifierHead], scores: str, axis: int, feeds: Feeds
) -> tuple[Effect, ...]:
    """Raise every channel of every layer, one after another, and lower it as far: quantized logits
    may end at zero, on one side.

    `feeds` has an example of each layer's logits, and of the model's input.
    """
    names = tuple(layer.logits for layer in layers)
    zeros = {name: np.zeros_like(feeds[name]) for name in names}
    compute = _open_tail(proto, names, scores, feeds)

    def run(changed: Feeds) -> npt.NDArray[np.float64]:
        computed = compute({**zeros, **changed}).astype(np.float64)
        columns: npt.NDArray[np.float64] = np.moveaxis(computed[0], axis - 1, 0)
        return columns

    effects = []
    for layer in layers:
        for channel in range(feeds[layer.logits].shape[layer.logits_axis]):
            raised, lowered = (
                run({layer.logits: _move(zeros[layer.logits], layer, channel, step)})
                for step in (_STEP, -_STEP)
            )
            effects.append(_describe(layer, channel, raised - lowered))
    return tuple(effects)


def _open_tail(
    proto: ModelProto, names: Sequence[str], scores: str, feeds: Feeds
) -> Callable[[Feeds], npt.NDArray[np.generic]]:
    """Return what computes the scores from logits, which may be the scores themselves."""
    if scores in names:
        return lambda given: given[scores]
    tail = cut_tail(proto, tuple(names), scores)
    session = open_session(tail, "cpu").native
    wanted = tuple(list_tail_inputs(tail))

    def compute(given: Feeds) -> npt.NDArray[np.generic]:
        known = {**feeds, **given}
        computed: npt.NDArray[np.generic] = session.run(
            [scores], {name: known[name] for name in wanted}
        )[0]
        return computed

    return compute


def _move(
    logits: npt.NDArray[np.generic], layer: ClassifierHead, channel: int, step: float
) -> npt.NDArray[np.generic]:
    """Return a copy of logits with one channel at `step`."""
    moved = logits.copy()
    np.moveaxis(moved, layer.logits_axis, 0)[channel] = step
    return moved


def _describe(layer: ClassifierHead, channel: int, change: npt.NDArray[np.float64]) -> Effect:
    rises, falls = change > _LEAST, change < -_LEAST
    return Effect(
        layer,
        channel,
        frozenset(np.flatnonzero(rises.any(1)).tolist()),
        frozenset(np.flatnonzero(falls.any(1)).tolist()),
        tuple(np.flatnonzero((rises | falls).any(0)).tolist()),
    )
