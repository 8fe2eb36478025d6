"""Linear probe: can locations that show the class be told from others by their features?"""

import numpy as np

from nhle_onnx.auditing.context import CannotRunError
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
from nhle_onnx.values.audit import Measure

_NOWHERE = (
    "in none of the judging images does a location show the class, by the original's own boxes: "
    "give images in which the original detects it"
)


def attack_by_probe(context: DetectorContext) -> tuple[Measure, ...]:
    """Attack with a linear probe for each layer, trained on locations in the attacker's half."""
    context.require_evidence()
    found = {role: _probe(context, target) for role, target in context.targets.items()}
    images = int((context.shown[context.judged] != NO_CLASS).sum())
    return (
        make_measure(
            "probe",
            "balanced_accuracy",
            "balanced accuracy of a linear probe of locations",
            {role: (recall + specificity) / 2 for role, (recall, specificity) in found.items()},
            images=images,
        ),
        make_measure(
            "probe",
            "location_recall",
            "recall of a linear probe of locations",
            {role: recall for role, (recall, _) in found.items()},
            images=images,
        ),
    )


def _probe(context: DetectorContext, target: DetectorTarget) -> tuple[float, float]:
    """Return the shares of the judge's locations that are told right: with the class, without."""
    pairs = zip(target.evidence, context.locations, strict=True)
    answers = [probe_layer(*pair, context.is_attack) for pair in pairs]
    shows, found = (np.concatenate(each) for each in zip(*answers, strict=True))
    if not shows.any() or shows.all():
        raise CannotRunError(_NOWHERE, leaves_gap=True)
    return float(found[shows].mean()), float((~found[~shows]).mean())


def probe_layer(evidence: Evidence, locations: Locations, is_attack: Flags) -> tuple[Flags, Flags]:
    """Return which of the judge's locations show a forgotten class, and which the probe takes for
    such; none of a layer that has no example for the probe.
    """
    held, shows = is_attack[locations.images], locations.classes != NO_CLASS
    if not shows[held].any() or shows[held].all():
        return np.empty(0, bool), np.empty(0, bool)
    fitted = fit_regression(evidence.features[held], shows[held].astype(np.int64), 2, balances=True)
    return shows[~held], fitted.score(evidence.features[~held]).argmax(1) == 1
