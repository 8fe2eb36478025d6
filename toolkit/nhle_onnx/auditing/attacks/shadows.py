"""New heads and rebuilt rows, beside what they find in shadow networks that never saw the class."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.attacks.layers import measure_few
from nhle_onnx.auditing.attacks.probe import probe_hits
from nhle_onnx.auditing.attacks.unmasking import rebuild_rows
from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.auditing.samples import SAMPLES_PER_CLASS, choose_known
from nhle_onnx.auditing.shadows import Shadow, train_shadow
from nhle_onnx.graph.head.head import HeadRows
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.outcomes import Role

Features = npt.NDArray[np.float32]


def compare_with_shadows(context: AuditContext, count: int) -> tuple[Measure, ...]:
    """Train so many shadows, and find the class in them as in the models."""
    if not count:
        return ()
    shadows = [train_shadow(context, context.seed + place) for place in range(count)]
    return tuple(
        replace(
            make_measure("shadows", name, title, _measure_models(context, measure)),
            shadows=tuple(measure(context, *_unpack(each)) for each in shadows),
        )
        for name, (title, measure) in _FIGURES.items()
    )


def _measure_models(context: AuditContext, measure: "_Measure") -> dict[Role, float]:
    return {
        role: measure(context, target.answers.features, target.head.rows)
        for role, target in context.targets.items()
    }


def _unpack(shadow: Shadow) -> tuple[Features, HeadRows]:
    return shadow.answers.features, shadow.rows


def _measure_rebuilt(context: AuditContext, features: Features, rows: HeadRows) -> float:
    """Return Acc_F with rebuilt rows, by the features alone."""
    known = choose_known(context.classes, context.is_attack)
    rebuilt = rebuild_rows(rows, features[known], context.classes[known], context.forgotten)
    scores = features[context.is_judge] @ rebuilt.weight.T + rebuilt.bias
    return float((scores.argmax(1) == context.classes[context.is_judge]).mean())


def _measure_few(context: AuditContext, features: Features, _: HeadRows) -> float:
    return measure_few(
        features,
        context.classes,
        context.is_attack,
        context.forgotten,
        shots=SAMPLES_PER_CLASS,
        seed=context.seed,
    )


def _measure_all(context: AuditContext, features: Features, _: HeadRows) -> float:
    hits = probe_hits(features, context.classes, context.is_attack, context.forgotten)
    return float(hits.mean())


_Measure = Callable[[AuditContext, Features, HeadRows], float]
_FIGURES: Mapping[str, tuple[str, _Measure]] = {
    "rebuilt_row": (f"Acc_F with rows rebuilt from {SAMPLES_PER_CLASS} samples", _measure_rebuilt),
    "recall_16": (f"recall of a new linear head, {SAMPLES_PER_CLASS} images a class", _measure_few),
    "recall": ("recall of a new linear head, all images", _measure_all),
}
