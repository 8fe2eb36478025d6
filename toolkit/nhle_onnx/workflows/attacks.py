"""audit, the part that needs torch: which attacks are made, in which order."""

from collections.abc import Callable
from functools import partial

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


def list_attacks(
    context: AuditContext,
    wanted: Device,
    curves: dict[Role, tuple[float, ...]],
    watch: Stopwatch,
) -> tuple[str, dict[str, Callable[[], tuple[Measure, ...]]]]:
    """The device that trains, and each attack by its name; relearning fills `curves`."""
    device = open_device(wanted, context.seed)

    def report_step(role: Role, step: int, limit: int) -> None:
        watch.observer.advance(step, limit, f"{role} model")

    relearn = partial(attack_by_relearning, device=device, curves=curves, on_step=report_step)
    listed: dict[str, Callable[[AuditContext], tuple[Measure, ...]]] = {
        "unmasking": attack_by_unmasking,
        "rebuilding": attack_by_rebuilding,
        "separability": compare_features,
        "probe": attack_by_probe,
        "relearning": explain_device_faults()(relearn),
        "membership": attack_membership,
        "divergence": compare_answers,
        "rounding": attack_by_rounding,
        "static_quantization": attack_by_quantizing,
        "traces": look_for_traces,
    }
    return str(device), {name: partial(attack, context) for name, attack in listed.items()}
