"""Judge a model by every gate."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nhle_onnx.hints import Wording, hint, word
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.verdict import Check
from nhle_onnx.verification.gates.features import judge_features
from nhle_onnx.verification.gates.forgotten import judge_classes, judge_forgotten
from nhle_onnx.verification.gates.knowledge import judge_knowledge
from nhle_onnx.verification.gates.notes import describe_evidence
from nhle_onnx.verification.gates.retained import judge_retained
from nhle_onnx.verification.gates.terms import Counted, Terms

GATES = (judge_forgotten, judge_retained, judge_features, judge_knowledge)
_ON_TUNING = "these are the images that it was tuned on: give {data} with other images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge(Terms):
    """Judge counts by the limits, for the classes of a request."""

    def judge(self, counted: Counted) -> tuple[tuple[Check, ...], tuple[str, ...]]:
        """Return every gate, judged or not, and notes on the evidence."""
        checks = [check for judge in GATES for check in judge(self, counted)]
        if counted.is_tuning:
            checks = [replace(check, gap=hint(_ON_TUNING)) for check in checks]
        return tuple(checks), describe_evidence(self, counted)

    def judge_output(self, name: str, counts: ClassCounts) -> Check:
        """Judge how much of the forgotten classes another output of the model recognises."""
        return judge_classes(self, name, counts, self.limits.max_acc_f)[0]


def word_checks(checks: Iterable[Check], wording: Wording) -> tuple[Check, ...]:
    """Word the options in the gaps of checks as flags or as keywords."""
    return tuple(replace(check, gap=word(check.gap, wording)) for check in checks)
