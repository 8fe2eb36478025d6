"""The gates on a detector: what its figures and the number of objects allow to say."""

from dataclasses import replace

import pytest

from nhle_onnx.hints import hint
from nhle_onnx.values.detection import Precision
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.verdict import Verdict
from nhle_onnx.workflows.detection.gates import judge_precision


def measure(objects: int, detected: int) -> Precision:
    ap = None if not objects else detected / objects
    return Precision(
        ap_f=ap, map_r=0.5, per_class=(ap, 0.5), per_class_50=(ap, 0.5), by_scale={},
        objects=objects, detected=detected,
    )  # fmt: skip


def test_what_no_image_shows_is_not_judged_and_says_so() -> None:
    nothing = replace(measure(0, 0), map_r=None)
    told = {check.name: check.gap for check in judge_precision(nothing, nothing, None, Limits())}
    assert told.pop("unmasked.ap_f") == str(
        hint("without {baseline} there is no model to compare with")
    )
    assert told.pop("delta_map_r").startswith("no image with boxes shows another class")
    assert {gap.partition(":")[0] for gap in told.values()} == {
        "no image with boxes shows the class"
    }


@pytest.mark.parametrize(
    ("objects", "detected", "verdict", "gap"),
    [
        (0, 0, "not-judged", "no image with boxes shows the class"),
        (10, 0, "not-judged", "10 objects cannot rule out that 26 %"),
        (200, 0, "passed", ""),
        (200, 3, "failed", ""),
    ],
)
def test_as_many_objects_as_a_verdict_needs(
    objects: int, detected: int, verdict: Verdict, gap: str
) -> None:
    checks = judge_precision(measure(objects, detected), measure(50, 50), None, Limits())
    (found,) = (check for check in checks if check.name == "after.detected")
    assert found.verdict == verdict
    assert gap in str(found.gap)
    assert bool(gap) or not found.gap
