"""Membership of single samples, compared with one shadow model that was not trained on them.

What a model that never saw a sample says of it tells how hard the sample is; only what is left
beyond that can be memory (Watson et al., "On the importance of difficulty calibration in membership
inference attacks", 2022). The model trained without the class is such a shadow.
"""

import numpy as np
import numpy.typing as npt

from nhle_onnx.auditing.attacks.membership import (
    describe_leaks,
    list_candidates,
    measure_leak,
    read_confidence,
    read_member_probabilities,
)
from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.outcomes import Role


def attack_membership_by_shadow(context: AuditContext) -> tuple[Measure, ...]:
    """Tell members from others by how a model's answers differ from the shadow's, if there is one
    and members are known.
    """
    if "reference" not in context.targets or not len(context.member_classes):
        return ()
    classes, is_member = list_candidates(context)
    shadow = _read(context, "reference", classes)
    leaks = {
        role: measure_leak(_read(context, role, classes) - shadow, is_member, context.seed)
        for role in context.targets
    }
    return tuple(describe_leaks("calibrated", leaks))


def _read(
    context: AuditContext, role: Role, classes: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    probabilities = read_member_probabilities(context, context.targets[role])
    return read_confidence(probabilities, classes)
