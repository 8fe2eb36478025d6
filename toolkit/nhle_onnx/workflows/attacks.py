"""audit, the part that needs torch: which attacks are made, in which order."""

from collections.abc import Callable
from functools import partial

from nhle_onnx.audit import attacks
from nhle_onnx.audit.bench import Bench
from nhle_onnx.training.device import Device, open_device
from nhle_onnx.values.audit import Measure, Role
from nhle_onnx.workflows.observer import Stopwatch


def list_attacks(
    bench: Bench,
    wanted: Device,
    curves: dict[Role, tuple[float, ...]],
    watch: Stopwatch,
) -> tuple[str, dict[str, Callable[[], tuple[Measure, ...]]]]:
    """The device that trains, and each attack by its name; relearning fills `curves`."""
    device = open_device(wanted, bench.seed)

    def report_step(role: Role, step: int, limit: int) -> None:
        watch.observer.advance(step, limit, f"{role} model")

    relearn = partial(
        attacks.attack_by_relearning, device=device, curves=curves, on_step=report_step
    )
    listed: dict[str, Callable[[Bench], tuple[Measure, ...]]] = {
        "unmasking": attacks.attack_head,
        "separability": attacks.compare_features,
        "probe": attacks.attack_by_probe,
        "relearning": relearn,
        "membership": attacks.attack_privacy,
        "divergence": attacks.compare_answers,
        "rounding": attacks.attack_by_rounding,
        "static_quantization": attacks.attack_by_quantizing,
        "traces": attacks.look_for_traces,
    }
    return str(device), {name: partial(attack, bench) for name, attack in listed.items()}
