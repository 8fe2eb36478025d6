"""How training went: told while it runs, and described for the report. Needs torch."""

from collections.abc import Callable
from typing import Any

from nhle_onnx.unlearning.objective import IMITATION_WEIGHT, SEPARATION_WEIGHT
from nhle_onnx.unlearning.pursuit import Finetuned
from nhle_onnx.values.report import TrainingStep
from nhle_onnx.workflows.observer import Observer


def follow_steps(observer: Observer, limit: int) -> Callable[[TrainingStep], None]:
    """Return what tells an observer about each step, of at most `limit`."""

    def report_step(point: TrainingStep) -> None:
        detail = f"margin {point.win_margin:+.2f}, drift {point.drift:.4f}"
        observer.advance(point.step, limit, detail)

    return report_step


def describe_course(tuned: Finetuned) -> dict[str, Any]:
    """Describe what every training has, for `method` of the report."""
    pace = tuned.trajectory.pace
    return {
        "optimizer": tuned.optimizer,
        "mirrors": tuned.probe.mirrors,
        "max_shift": tuned.probe.max_shift,
        "sure_margin": tuned.probe.margin,
        "drift_bound": pace.bound,
        "retain_weight": pace.weight,
        "steps_taken_back": pace.taken_back,
        "imitation_weight": IMITATION_WEIGHT,
        "separation_weight": SEPARATION_WEIGHT,
        "steps_run": len(tuned.trajectory.points),
        "stop_reason": tuned.stop_reason,
    }
