"""Unmasking: a head that knows the class, put on the edited network (METHOD §4)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nhle_onnx.audit.head_rows import HeadRows

SAMPLES_PER_CLASS = 16  # that the attacker uses
FALSE_ALARMS = 0.05  # of the attacker's retained samples: a row that takes all proves nothing


def rebuild_rows(
    rows: HeadRows,
    features: npt.NDArray[np.floating],
    classes: npt.NDArray[np.int64],
    forgotten: Sequence[int],
) -> HeadRows:
    """The head with a row for each forgotten class made of the attacker's samples.

    The row is the mean of the class's features less the mean of all, as long as a retained row is
    on average (after Qi et al., CVPR 2018); its bias the highest at which at most 5 % of the
    retained samples go to it. Features [N, D] of samples of `classes` [N].
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
