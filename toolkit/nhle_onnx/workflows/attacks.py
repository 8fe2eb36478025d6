"""audit, the part that needs torch: the attacks on a classifier, in their order."""

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
from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.training.device import explain_device_faults
from nhle_onnx.values.audit import Measure
from nhle_onnx.workflows.attack_runs import Attack, Tools, make_attack


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
ATTACKS: dict[str, Attack[AuditContext]] = {
    "unmasking": make_attack(attack_by_unmasking),
    "rebuilding": make_attack(attack_by_rebuilding, varies=True),
    "separability": make_attack(compare_features),
    "probe": make_attack(attack_by_probe, varies=True),
    "relearning": Attack(_relearn, varies=True),
    "membership": make_attack(attack_membership),
    "divergence": make_attack(compare_answers),
    "rounding": make_attack(attack_by_rounding),
    "static_quantization": make_attack(attack_by_quantizing),
    "traces": make_attack(look_for_traces),
    "outputs": make_attack(attack_outputs),
    "difference": make_attack(attack_difference),
    "neighbours": make_attack(measure_neighbours),
    "closeness": make_attack(compare_to_both),
    "calibrated_membership": make_attack(attack_membership_by_shadow),
    "shadows": Attack(_compare_with_shadows),
    "layers": make_attack(attack_layers, effort="standard"),
    "perturbation": Attack(_perturb, effort="standard"),
    "revival": Attack(_revive, effort="thorough"),
}
