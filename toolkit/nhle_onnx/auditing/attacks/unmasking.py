"""Unmasking: a head that knows the class, put on the edited network."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.context import AuditContext, Target
from nhle_onnx.auditing.measures import make_measure, measure_each
from nhle_onnx.auditing.samples import SAMPLES_PER_CLASS, choose_known
from nhle_onnx.auditing.unmasked import list_fitting
from nhle_onnx.graph.head.head import HeadRows
from nhle_onnx.values.audit import Measure

FALSE_ALARMS = (
    0.05  # of the attacker's retained samples; a row that wins on every sample proves nothing
)


def rebuild_rows(
    rows: HeadRows,
    features: npt.NDArray[np.floating],
    classes: npt.NDArray[np.int64],
    forgotten: Sequence[int],
) -> HeadRows:
    """Return the head with a row for each forgotten class, built from the attacker's samples.

    `features` [N, D] are of samples of `classes` [N]. A row is the mean of the class's features
    minus the mean of all, scaled to the average length of a retained row (after Qi et al., CVPR
    2018). Its bias is the highest at which at most 5 % of the retained samples go to the class.
    """
    wide = features.astype(np.float64)
    kept = [index for index in range(len(rows.bias)) if index not in forgotten]
    length = np.linalg.norm(rows.weight[kept], axis=1).mean()
    others = wide[np.isin(classes, kept)]
    best = (others @ rows.weight[kept].T + rows.bias[kept]).max(1)
    weight, bias = rows.weight.copy(), rows.bias.copy()
    for index in forgotten:
        direction = wide[classes == index].mean(0) - wide.mean(0)
        weight[index] = direction * length / max(float(np.linalg.norm(direction)), 1e-12)
        bias[index] = np.quantile(best - others @ weight[index], FALSE_ALARMS)
    return HeadRows(weight, bias)


def attack_by_unmasking(context: AuditContext) -> tuple[Measure, ...]:
    """Attack with the original's head on the features of each model that it fits."""
    put_back = {
        role: context.recognise(proto, context.targets[role])
        for role, proto in list_fitting(context).items()
    }
    title = "Acc_F with the original's head"
    return (make_measure("unmasking", "original_head", title, put_back, places=False),)


def attack_by_rebuilding(context: AuditContext) -> tuple[Measure, ...]:
    """Attack with rows rebuilt from a few samples of the class."""
    rebuilt = measure_each(context, partial(_measure_rebuilt, context))
    title = f"Acc_F with rows rebuilt from {SAMPLES_PER_CLASS} samples"
    images = int(context.is_judge.sum())
    return (make_measure("unmasking", "rebuilt_row", title, rebuilt, images=images),)


def _measure_rebuilt(context: AuditContext, target: Target) -> float:
    known = choose_known(context.classes, context.is_attack)
    rows = rebuild_rows(
        target.head.rows, target.answers.features[known], context.classes[known], context.forgotten
    )
    return context.recognise(target.head.with_rows(rows), target)
