"""Rebuilding: new class channels, fitted to the features of locations that show the class."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.auditing.detection.context import (
    NO_CLASS,
    DetectorContext,
    DetectorTarget,
    Evidence,
    Flags,
    Locations,
)
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.auditing.regression import fit_regression
from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.head.head import Head
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.outcomes import Role

_STRENGTH = 10.0  # by which examples count against the penalty: objects are few, locations many


def attack_by_rebuilding(context: DetectorContext) -> tuple[Measure, ...]:
    """Attack with a new channel for each forgotten class in each layer, in the attacker's half."""
    context.require_evidence()
    values = {role: _measure_rebuilt(context, role) for role in context.targets}
    title = "AP_F with class channels fitted to half of the images"
    images = int((context.shown[context.judged] != NO_CLASS).sum())
    return (make_measure("rebuilding", "ap_f", title, values, images=images),)


def _measure_rebuilt(context: DetectorContext, role: Role) -> float | None:
    rebuilt = rebuild_channels(context, context.targets[role])
    return context.measure(role, rebuilt, context.judged).ap_f


class Channel(NamedTuple):
    """A fitted channel, and the odds that a location of its layer shows the class."""

    weight: npt.NDArray[np.float64]
    bias: float
    odds: float


def rebuild_channels(context: DetectorContext, target: DetectorTarget) -> ModelProto:
    """Return a copy of a detector with fitted channels of the forgotten classes.

    A layer that shows the class in none of the attacker's images keeps its channel.
    """
    rebuilt = copy_model(target.model.proto)
    for index in context.request.forget:
        channels = [
            fit_channel(found, given, index, context.is_attack)
            for found, given in zip(target.evidence, context.locations, strict=True)
        ]
        most = max((each.odds for each in channels if each), default=1.0)
        for layer, channel in zip(target.detector.layers, channels, strict=True):
            if channel:
                head = Head(rebuilt, layer.head)
                rows = head.own_rows
                rows.weight[index] = channel.weight
                rows.bias[index] = channel.bias + np.log(channel.odds / most)
                head.write_rows(rows)
    return rebuilt


def fit_channel(
    evidence: Evidence, locations: Locations, index: int, is_attack: Flags
) -> Channel | None:
    """Fit a channel to the attacker's locations, so that its score is the chance that one shows the
    class, were as many to show it as not. Returns None where none of them shows it.
    """
    held = is_attack[locations.images]
    shows, weights = locations.classes[held] == index, locations.weights[held]
    if not shows.any() or shows.all():
        return None
    rivals = evidence.rivals[held].astype(np.float64)
    fitted = fit_regression(
        evidence.features[held],
        shows.astype(np.int64),
        2,
        inverse_penalty=_STRENGTH / len(shows),
        balances=True,
        offset=np.stack([rivals, np.zeros(len(rivals))], 1),
    )
    weight = (fitted.weight[1] - fitted.weight[0]) / fitted.spread
    bias = fitted.bias[1] - fitted.bias[0] - weight @ fitted.mean
    return Channel(weight, float(bias), float(weights[shows].sum() / weights[~shows].sum()))
