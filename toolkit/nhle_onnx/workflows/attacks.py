"""audit, the part that needs torch: which attacks are made, and in which order."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, get_args

import torch

from nhle_onnx.auditing.attacks.calibrated_membership import attack_membership_by_shadow
from nhle_onnx.auditing.attacks.closeness import compare_to_both
from nhle_onnx.auditing.attacks.difference import attack_difference
from nhle_onnx.auditing.attacks.divergence import compare_answers
from nhle_onnx.auditing.attacks.layers import attack_layers
from nhle_onnx.auditing.attacks.membership import attack_membership
from nhle_onnx.auditing.attacks.neighbours import measure_neighbours
from nhle_onnx.auditing.attacks.outputs import attack_outputs
from nhle_onnx.auditing.attacks.perturbation import attack_by_perturbing
from nhle_onnx.auditing.attacks.probe import attack_by_probe
from nhle_onnx.auditing.attacks.quantization import attack_by_quantizing, attack_by_rounding
from nhle_onnx.auditing.attacks.relearning import attack_by_relearning
from nhle_onnx.auditing.attacks.revival import attack_by_revival
from nhle_onnx.auditing.attacks.separability import compare_features
from nhle_onnx.auditing.attacks.shadows import compare_with_shadows
from nhle_onnx.auditing.attacks.traces import look_for_traces
from nhle_onnx.auditing.attacks.unmasking import attack_by_rebuilding, attack_by_unmasking
from nhle_onnx.auditing.context import AuditContext, split_halves
from nhle_onnx.auditing.measures import combine_repeats
from nhle_onnx.hints import hint
from nhle_onnx.training.device import explain_device_faults, open_device
from nhle_onnx.values.audit import Curves, Measure
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.request import Effort
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.workflows.observer import Stopwatch


class Tools(NamedTuple):
    """What an attack that trains needs: a device, curves to fill with Acc_F, a progress report, and
    how many shadow networks are wanted.
    """

    device: torch.device
    curves: Curves
    on_step: Callable[[Role, int, int], None]
    shadows: int = 0


Run = Callable[[AuditContext, Tools], tuple[Measure, ...]]


class Attack(NamedTuple):
    """An attack, whether its result varies with the attacker's samples, and the least effort that
    includes it.
    """

    run: Run
    varies: bool = False
    effort: Effort = "fast"


def _attack(
    attack: Callable[[AuditContext], tuple[Measure, ...]],
    *,
    varies: bool = False,
    effort: Effort = "fast",
) -> Attack:
    return Attack(lambda context, _: attack(context), varies, effort)


@explain_device_faults()
def _relearn(context: AuditContext, tools: Tools) -> tuple[Measure, ...]:
    return attack_by_relearning(
        context, device=tools.device, curves=tools.curves, on_step=tools.on_step
    )


@explain_device_faults()
def _revive(context: AuditContext, tools: Tools) -> tuple[Measure, ...]:
    return attack_by_revival(context, tools.device, tools.on_step)


@explain_device_faults()
def _perturb(context: AuditContext, tools: Tools) -> tuple[Measure, ...]:
    return attack_by_perturbing(context, tools.device)


def _compare_with_shadows(context: AuditContext, tools: Tools) -> tuple[Measure, ...]:
    return compare_with_shadows(context, tools.shadows)


# To add an attack, write a file in `auditing/attacks/` and add a row.
ATTACKS: dict[str, Attack] = {
    "unmasking": _attack(attack_by_unmasking),
    "rebuilding": _attack(attack_by_rebuilding, varies=True),
    "separability": _attack(compare_features),
    "probe": _attack(attack_by_probe, varies=True),
    "relearning": Attack(_relearn, varies=True),
    "membership": _attack(attack_membership),
    "divergence": _attack(compare_answers),
    "rounding": _attack(attack_by_rounding),
    "static_quantization": _attack(attack_by_quantizing),
    "traces": _attack(look_for_traces),
    "outputs": _attack(attack_outputs),
    "difference": _attack(attack_difference),
    "neighbours": _attack(measure_neighbours),
    "closeness": _attack(compare_to_both),
    "calibrated_membership": _attack(attack_membership_by_shadow),
    "shadows": Attack(_compare_with_shadows),
    "layers": _attack(attack_layers, effort="standard"),
    "perturbation": Attack(_perturb, effort="standard"),
    "revival": Attack(_revive, effort="thorough"),
}


def list_attacks(
    context: AuditContext,
    settings: AuditSettings,
    curves: Curves,
    watch: Stopwatch,
) -> tuple[str, dict[str, Callable[[], tuple[Measure, ...]]]]:
    """Return the training device, and each attack by name; relearning fills `curves`.

    Attacks whose result varies are repeated with several divisions of the samples.
    """
    device = open_device(settings.device, context.seed)

    def report_step(role: Role, step: int, limit: int) -> None:
        watch.observer.advance(step, limit, f"{role} model")

    tools = Tools(device, curves, report_step, settings.shadow_count)
    return str(device), {
        name: partial(_repeat, each, context, tools, settings.repeats if each.varies else 1)
        for name, each in ATTACKS.items()
        if _is_wanted(each, settings.effort)
    }


def describe_left_out(effort: Effort) -> tuple[str, ...]:
    """Return a note of the attacks that take more effort than is wanted."""
    left_out = [name for name, each in ATTACKS.items() if not _is_wanted(each, effort)]
    if not left_out:
        return ()
    return (hint(f"not made with {{effort={effort}}}: {', '.join(left_out).replace('_', ' ')}"),)


def _is_wanted(attack: Attack, effort: Effort) -> bool:
    efforts = get_args(Effort)
    return efforts.index(attack.effort) <= efforts.index(effort)


def _repeat(
    attack: Attack, context: AuditContext, tools: Tools, repeats: int
) -> tuple[Measure, ...]:
    """Return what an attack finds in repeated draws of the samples; curves are the first's."""
    found = [attack.run(context, tools)]
    for seed in range(context.seed + 1, context.seed + repeats):
        drawn = replace(context, is_attack=split_halves(context.classes, seed), seed=seed)
        found.append(attack.run(drawn, tools._replace(curves={})))
    return combine_repeats(found) if repeats > 1 else found[0]
