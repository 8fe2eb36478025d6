"""Linear probe: a new head, trained on labelled samples of all classes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.auditing.regression import fit_regression
from nhle_onnx.values.audit import Measure

_DRAWS = 1000
_INTERVAL = (2.5, 97.5)


def probe_hits(
    features: npt.NDArray[np.floating],
    classes: npt.NDArray[np.int64],
    is_attack: npt.NDArray[np.bool_],
    forgotten: Sequence[int],
) -> npt.NDArray[np.bool_]:
    """Return whether the probe recognises each evaluation sample of a forgotten class.

    The probe is trained on the attacker's samples, features [N, D] of `classes` [N].
    """
    known, numbers = np.unique(classes[is_attack], return_inverse=True)
    regression = fit_regression(features[is_attack], numbers.astype(np.int64), len(known))
    judged = ~is_attack & np.isin(classes, list(forgotten))
    found: npt.NDArray[np.bool_] = (
        known[regression.score(features[judged]).argmax(1)] == classes[judged]
    )
    return found


def attack_by_probe(context: AuditContext) -> tuple[Measure, ...]:
    """Attack with a new linear head on the features, trained on labelled samples of all classes."""
    hits = {
        role: probe_hits(
            target.answers.features, context.classes, context.is_attack, context.forgotten
        )
        for role, target in context.targets.items()
    }
    rng = np.random.default_rng(context.seed)
    draws = rng.choice(hits["edited"], (_DRAWS, len(hits["edited"]))).mean(1)
    low, high = np.percentile(draws, _INTERVAL)
    measure = make_measure(
        "probe",
        "recall",
        "recall of a new linear head",
        {role: float(found.mean()) for role, found in hits.items()},
        images=len(hits["edited"]),
    )
    return (replace(measure, interval=(float(low), float(high))),)
