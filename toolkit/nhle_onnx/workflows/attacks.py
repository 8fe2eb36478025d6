"""audit, the part that needs torch: which attacks are made, and in which order."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch

from nhle_onnx.auditing.attacks.divergence import compare_answers
from nhle_onnx.auditing.attacks.membership import attack_membership
from nhle_onnx.auditing.attacks.probe import attack_by_probe
from nhle_onnx.auditing.attacks.quantization import attack_by_quantizing, attack_by_rounding
from nhle_onnx.auditing.attacks.relearning import attack_by_relearning
from nhle_onnx.auditing.attacks.separability import compare_features
from nhle_onnx.auditing.attacks.traces import look_for_traces
from nhle_onnx.auditing.attacks.unmasking import attack_by_rebuilding, attack_by_unmasking
from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.training.device import explain_device_faults, open_device
from nhle_onnx.values.audit import Measure, Role
from nhle_onnx.values.places import Device
from nhle_onnx.workflows.observer import Stopwatch


class Tools(NamedTuple):
    """What an attack that trains needs: a device, curves to fill with Acc_F, a progress report."""

    device: torch.device
    curves: dict[Role, tuple[float, ...]]
    on_step: Callable[[Role, int, int], None]


Attack = Callable[[AuditContext, Tools], tuple[Measure, ...]]


def _without_tools(attack: Callable[[AuditContext], tuple[Measure, ...]]) -> Attack:
    return lambda context, _: attack(context)


@explain_device_faults()
def _relearn(context: AuditContext, tools: Tools) -> tuple[Measure, ...]:
    return attack_by_relearning(
        context, device=tools.device, curves=tools.curves, on_step=tools.on_step
    )


# To add an attack, write a file in `auditing/attacks/` and add a row.
ATTACKS: dict[str, Attack] = {
    "unmasking": _without_tools(attack_by_unmasking),
    "rebuilding": _without_tools(attack_by_rebuilding),
    "separability": _without_tools(compare_features),
    "probe": _without_tools(attack_by_probe),
    "relearning": _relearn,
    "membership": _without_tools(attack_membership),
    "divergence": _without_tools(compare_answers),
    "rounding": _without_tools(attack_by_rounding),
    "static_quantization": _without_tools(attack_by_quantizing),
    "traces": _without_tools(look_for_traces),
}


def list_attacks(
    context: AuditContext,
    wanted: Device,
    curves: dict[Role, tuple[float, ...]],
    watch: Stopwatch,
) -> tuple[str, dict[str, Callable[[], tuple[Measure, ...]]]]:
    """Return the training device, and each attack by name; relearning fills `curves`."""
    device = open_device(wanted, context.seed)

    def report_step(role: Role, step: int, limit: int) -> None:
        watch.observer.advance(step, limit, f"{role} model")

    tools = Tools(device, curves, report_step)
    return str(device), {name: partial(each, context, tools) for name, each in ATTACKS.items()}
