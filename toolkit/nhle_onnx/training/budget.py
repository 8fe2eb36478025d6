"""Forgetting under a budget: minimise forgetting and alignment, subject to a bound on how far the
retained function drifts from the original's.

The drift is measured in every step, on fresh views of the anchors. The weight of what is retained
is the constraint's multiplier, found by dual ascent; the step size grows while the drift is within
its bound, and a step that goes far beyond it is taken back. Nothing here reads a label.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from nhle_onnx.hints import hint
from nhle_onnx.training.effort import ENDURANCE, Endurance
from nhle_onnx.values.report import TrainingStep
from nhle_onnx.values.request import Effort

DRIFT_BOUND = 0.025  # nats; a confident answer that flips costs ln 2, so 4 in 100 could
LOOSEST = 0.1  # where training settles in vain, the bound doubles, up to this
SURE_MARGIN = 1.0  # logit spreads by which the class is to lose against the best retained one
_CLEAR_SHARE = 0.25  # of the margin, by which it must still lose once training has settled
ROUNDED_BOUND = 0.1  # where weights are whole numbers: their rounding alone makes most of it
FIRST_WEIGHT = 20.0
FIRST_RATE = 5e-4
LARGEST_RATE = 1e-2
FIXED_RATE = 5e-3  # where no drift can be measured, or rounding hides what a step does
WINDOW = 10  # steps that count as evidence
_EARLIEST = 20  # steps before the first verdict
_WEIGHTS = (0.5, 100.0)
HEAVIEST = 30.0  # while the class is still known: most drift is then noise, which steps make
_ASCENT = 0.05  # the weight's largest relative change in a step
_SETTLING_ASCENT = 1.03
_GROWTH = 1.5
_SHRINKAGE = 0.85
_SMALLEST = 1 / 3  # of the largest step so far: smaller ones find no way out
_RECOVERY = 1.1
_COOLING = 0.9
_FAR = 3.0  # bounds, from which a step is taken back
_NEAR = 1.5
_JUMP = 1.5  # times the drift before, which it must exceed as well
_REFUSALS = 5  # in a row, where the drift was beyond its bound before the step
_REFUSALS_WITHIN = 20  # where it was not: steps of a millionth of that size change nothing
_PROGRESS = 0.98

FORGOTTEN = "forgotten and settled"
TOO_MUCH_DRIFT = hint(
    "no further progress: retained classes changed too much; more images of them as {anchors} "
    "would help"
)
TOO_LITTLE_FORGOTTEN = hint(
    "no further progress: some samples are still recognised; more images of the class among "
    "{samples} would help"
)
_LONGER = "{reason}, or {effort=thorough}, which goes on for longer"


class RoundedDrift(NamedTuple):
    """How far training may drift where weights are rounded, and its steps adapt nevertheless: in
    its first round, and at most. As rounding makes the drift vary, `slack` times as much is kept.
    """

    first: float
    loosest: float
    slack: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The weight of what is retained, and the step size, a fraction of each tensor's magnitude.

    `peak` is the largest step size so far that was not taken back; `settled` counts the steps since
    the step size began to fall, 0 before; `rounds` how often that was in vain; `since` is the step
    where this round began, and `stop` says why training ends. `bound` is the drift allowed.
    """

    weight: float
    rate: float
    bound: float = DRIFT_BOUND
    peak: float = 0.0
    settled: int = 0
    rounds: int = 0
    since: int = 0
    refusals: int = 0
    taken_back: int = 0
    stop: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How a pace follows from the steps so far.

    `adapts` lets the step size change. `margin` is what counts as surely forgotten, in logit
    spreads, and `loosest` the largest drift that may be allowed where less leaves the class known.
    `slack` times the drift allowed still counts as kept. With `steps` training neither ends early
    nor begins to settle before the last of them.
    """

    adapts: bool
    steps: int | None = None
    margin: float = SURE_MARGIN
    loosest: float = LOOSEST
    slack: float = 1.0
    effort: Effort = "standard"

    @property
    def endurance(self) -> Endurance:
        """How long training goes on, by the effort."""
        return ENDURANCE[self.effort]

    def refuses(self, pace: Pace, drift: float, points: Sequence[TrainingStep]) -> bool:
        """Whether the last step made so much drift that it is to be taken back."""
        if not self.adapts or not points:
            return False
        was_within = points[-1].drift <= pace.bound
        if pace.refusals >= (_REFUSALS_WITHIN if was_within else _REFUSALS):
            return False
        return drift > max(_FAR * pace.bound, _JUMP * points[-1].drift)

    def explain(self, pace: Pace, points: Sequence[TrainingStep]) -> str:
        """Say what is missing where training ends before the class is surely forgotten."""
        kept = self._keeps(pace, points)
        reason = TOO_LITTLE_FORGOTTEN if kept else TOO_MUCH_DRIFT
        return reason if self.effort == "thorough" else hint(_LONGER, reason=reason)

    def take_back(self, pace: Pace) -> Pace:
        """Return the pace with half the step."""
        half, refusals, taken_back = pace.rate / 2, pace.refusals + 1, pace.taken_back + 1
        return replace(pace, rate=half, peak=half, refusals=refusals, taken_back=taken_back)

    def follow(self, pace: Pace, points: Sequence[TrainingStep]) -> Pace:
        """Return the pace of the step after the last of `points`."""
        pace = replace(pace, refusals=0)
        if not pace.settled and not self._should_settle(pace, points):
            return self._spend(pace, points)
        pace = self._settle(pace)
        if self.steps is not None or pace.settled <= self.endurance.settling:
            return pace
        return self._conclude(pace, points)

    def _should_settle(self, pace: Pace, points: Sequence[TrainingStep]) -> bool:
        count = len(points)
        if self.steps is not None:
            settling = self.endurance.settling
            return self.steps >= 2 * settling and count > self.steps - settling
        if count < _EARLIEST or count - pace.since < WINDOW:
            return False
        if is_stuck(points[pace.since :], self.endurance.patience):
            return True
        near = _NEAR * pace.bound  # falls below the bound once the steps get smaller
        return is_forgotten(points, self.margin) and measure_drift(points[-3:]) <= near

    def _spend(self, pace: Pace, points: Sequence[TrainingStep]) -> Pace:
        """Dual ascent: the weight falls while the drift is below its bound, and rises above it."""
        excess = measure_drift(points[-3:]) / pace.bound - 1
        weight = pace.weight * math.exp(_ASCENT * min(1.0, max(-1.0, excess)))
        return replace(
            pace,
            weight=min(_limit(weight), HEAVIEST),
            rate=self._step_on(pace, points),
            peak=max(pace.peak, pace.rate),
        )

    def _step_on(self, pace: Pace, points: Sequence[TrainingStep]) -> float:
        rate = pace.rate
        if not self.adapts:
            return rate
        drift, before = points[-1].drift, points[-2].drift if len(points) > 1 else 0.0
        if drift <= pace.bound:
            return min(rate * _GROWTH, LARGEST_RATE)
        if drift < before:  # only further steps bring it back
            return min(rate * _RECOVERY, LARGEST_RATE)
        return max(rate * _SHRINKAGE, FIRST_RATE, _SMALLEST * max(pace.peak, rate))

    def _settle(self, pace: Pace) -> Pace:
        rate = pace.rate * _COOLING if self.adapts else pace.rate
        weight = _limit(pace.weight * _SETTLING_ASCENT)
        return replace(pace, weight=weight, rate=rate, settled=pace.settled + 1)

    def _keeps(self, pace: Pace, points: Sequence[TrainingStep]) -> bool:
        return measure_drift(points[-WINDOW:]) <= self.slack * pace.bound

    def _is_in_vain(self, pace: Pace, points: Sequence[TrainingStep]) -> bool:
        """Whether the class is still known at a drift a little beyond a bound that may be loosened:
        where anchors are unlike what the network was trained on, even small steps exceed it.
        """
        near = measure_drift(points[-WINDOW:]) <= _FAR * pace.bound
        return near and pace.bound < self.loosest and is_known(points)

    def _conclude(self, pace: Pace, points: Sequence[TrainingStep]) -> Pace:
        """Stop, or go on if training began to settle too early."""
        forgotten = is_forgotten(points, _CLEAR_SHARE * self.margin)
        kept = self._keeps(pace, points)
        if forgotten and kept:
            return replace(pace, stop=FORGOTTEN)
        if pace.rounds + 1 >= self.endurance.rounds:
            return replace(pace, stop=self.explain(pace, points))
        rate = pace.rate / _COOLING**self.endurance.settling / 2 if self.adapts else pace.rate
        loosens = kept or self._is_in_vain(pace, points)
        return replace(
            pace,
            weight=_limit(pace.weight / 2 if loosens else pace.weight * 2),
            rate=rate,
            bound=max(pace.bound, min(2 * pace.bound, self.loosest)) if loosens else pace.bound,
            settled=0,
            rounds=pace.rounds + 1,
            since=len(points),
        )


def start_budget(
    *,
    steps: int | None,
    measures: bool,
    is_rounded: bool,
    is_rate_given: bool,
    margin: float = SURE_MARGIN,
    effort: Effort = "standard",
    loosest: float = LOOSEST,
    rounded: RoundedDrift | None = None,
) -> tuple[Budget, Pace]:
    """Return a budget and its first pace. The step size stays as it is where it was given, where no
    drift is measured, and on rounded weights, which move by leaps, unless `rounded` says how far
    these may drift. `margin` is that of the standard effort.
    """
    leaps = is_rounded and rounded is None
    adapts = measures and not leaps and not is_rate_given
    bound = ROUNDED_BOUND if leaps else DRIFT_BOUND
    slack = 1.0
    if is_rounded and rounded is not None:
        bound, loosest, slack = rounded
    budget = Budget(
        adapts=adapts,
        steps=steps,
        margin=ENDURANCE[effort].margin * margin,
        loosest=loosest,
        slack=slack,
        effort=effort,
    )
    rate = FIRST_RATE if adapts else 1.0 if is_rate_given else FIXED_RATE
    return budget, Pace(weight=FIRST_WEIGHT, rate=rate, bound=bound)


def is_forgotten(points: Sequence[TrainingStep], margin: float) -> bool:
    """Whether over the last window the class lost by `margin` even on each step's surest sample."""
    last = points[-WINDOW:]
    return sum(point.win_margin for point in last) <= -margin * len(last)


def is_known(points: Sequence[TrainingStep]) -> bool:
    """Whether over the last window the class still won on each step's surest sample."""
    return sum(point.win_margin for point in points[-WINDOW:]) > 0


def is_stuck(points: Sequence[TrainingStep], patience: int) -> bool:
    """Whether the forgetting loss has not fallen over the last `patience` steps."""
    losses = [point.forget_loss for point in points[-patience:]]
    before, last = sum(losses[: patience // 2]), sum(losses[patience // 2 :])
    return len(losses) == patience and last > _PROGRESS * before


def measure_drift(points: Sequence[TrainingStep]) -> float:
    """Measure the mean drift of some steps."""
    return sum(point.drift for point in points) / len(points)


def _limit(weight: float) -> float:
    low, high = _WEIGHTS
    return min(max(weight, low), high)
