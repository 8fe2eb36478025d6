"""The gates: measured accuracies against what was demanded."""

from typing import Literal

from nhle_onnx.values.report import Check
from nhle_onnx.values.settings.gates import Limits

_UNMEASURED = "{name} was not measured: the evaluation samples hold no {kind} class"


def make_gates(
    *,
    acc_f: float | None,
    delta_acc_r: float | None,
    unmasked_acc_f: float | None,
    limits: Limits,
    expects_delta: bool,
    expects_unmasked: bool,
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """One check for each gate that was measured, and a note for each that could not be."""
    gates: tuple[tuple[str, float | None, float, Literal["lower", "higher"], bool, str], ...] = (
        ("after.acc_f", acc_f, limits.max_acc_f, "lower", True, "forgotten"),
        ("delta_acc_r", delta_acc_r, -limits.max_acc_r_drop, "higher", expects_delta, "retained"),
        (
            "unmasked.acc_f",
            unmasked_acc_f,
            limits.max_unmasked_acc_f,
            "lower",
            expects_unmasked,
            "forgotten",
        ),
    )
    checks: list[Check] = []
    notes: list[str] = []
    for name, value, limit, better, expected, kind in gates:
        if not expected:
            continue
        if value is None:
            notes.append(_UNMEASURED.format(name=name, kind=kind))
        else:
            checks.append(Check(name=name, value=value, limit=limit, better=better))
    return tuple(checks), tuple(notes)
