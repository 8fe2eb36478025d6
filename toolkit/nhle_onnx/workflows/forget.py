"""unlearn, on whatever the model is: a classifier, or a detector."""

from typing import Any

from nhle_onnx.values.detection import EditReport
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.workflows.detection.plan import plan_detection
from nhle_onnx.workflows.detection.subject import DetectorFoundError
from nhle_onnx.workflows.detection.unlearn import (
    carry_out_detection,
    describe_detection_plan,
    rehearse_detection,
)
from nhle_onnx.workflows.observer import Stopwatch
from nhle_onnx.workflows.plan import plan_unlearning
from nhle_onnx.workflows.unlearn import carry_out, rehearse
from nhle_onnx.workflows.unlearn_report import describe_plan


def forget_class(settings: UnlearnSettings, watch: Stopwatch) -> EditReport:
    """Make a model forget, and write it with its report."""
    try:
        plan = plan_unlearning(settings, watch)
    except DetectorFoundError as found:
        return carry_out_detection(plan_detection(settings, found.subject, watch), watch)
    return carry_out(plan, watch)


def rehearse_class(settings: UnlearnSettings, watch: Stopwatch) -> dict[str, Any]:
    """Check and measure only, and describe what was decided."""
    try:
        plan = plan_unlearning(settings, watch)
    except DetectorFoundError as found:
        detection = plan_detection(settings, found.subject, watch)
        rehearse_detection(detection, watch)
        return describe_detection_plan(detection)
    rehearse(plan, watch)
    return describe_plan(plan)
