"""How the weight of what is retained, the step size and the end follow from what training shows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import nn

from nhle_onnx.errors import TrainingDivergedError
from nhle_onnx.hints import hint
from nhle_onnx.training.budget import (
    DRIFT_BOUND,
    FIRST_RATE,
    FIRST_WEIGHT,
    FIXED_RATE,
    FORGOTTEN,
    HEAVIEST,
    LARGEST_RATE,
    LOOSEST,
    TOO_LITTLE_FORGOTTEN,
    TOO_MUCH_DRIFT,
    Budget,
    Pace,
    RoundedDrift,
    is_forgotten,
    is_stuck,
    start_budget,
)
from nhle_onnx.training.effort import ENDURANCE
from nhle_onnx.training.loop import Losses, Trajectory, train
from nhle_onnx.values.report import TrainingStep
from nhle_onnx.values.request import Effort

BUDGET = Budget(adapts=True)
SETTLING = BUDGET.endurance.settling
PACE = Pace(weight=FIRST_WEIGHT, rate=FIRST_RATE)


def point(win: float = 1.0, drift: float = 0.0, loss: float = 1.0) -> TrainingStep:
    return TrainingStep(
        step=1, forget_loss=loss, retain_loss=0.0, alignment_loss=0.0, forget_margin=win,
        win_margin=win, drift=drift,
    )  # fmt: skip


def go_on(points: Sequence[TrainingStep], budget: Budget = BUDGET) -> list[Pace]:
    """The pace after each step."""
    paces = [PACE]
    for count in range(1, len(points) + 1):
        paces.append(budget.follow(paces[-1], points[:count]))
    return paces[1:]


def go_on_from(pace: Pace, points: Sequence[TrainingStep]) -> Pace:
    for count in range(1, len(points) + 1):
        pace = BUDGET.follow(pace, points[:count])
    return pace


@pytest.mark.parametrize(("drift", "falls"), [(0.0, True), (0.5, True), (1.5, False), (9.0, False)])
def test_the_weight_falls_within_the_bound_and_rises_beyond_it(drift: float, falls: bool) -> None:  # noqa: FBT001
    weights = [pace.weight for pace in go_on([point(drift=drift * DRIFT_BOUND)] * 5)]
    assert weights == sorted(weights, reverse=falls)
    assert (weights[-1] < FIRST_WEIGHT) == falls


def test_at_the_bound_the_weight_stays() -> None:
    assert go_on([point(drift=DRIFT_BOUND)] * 5)[-1].weight == FIRST_WEIGHT


def test_steps_grow_within_the_bound_up_to_the_largest() -> None:
    rates = [pace.rate for pace in go_on([point()] * 12)]
    assert rates[0] > FIRST_RATE
    assert rates == sorted(rates)
    assert rates[-1] == LARGEST_RATE


@pytest.mark.parametrize(("drifts", "grows"), [((2.0, 3.0), False), ((3.0, 2.0), True)])
def test_beyond_the_bound_steps_shrink_while_the_drift_rises(
    drifts: tuple[float, float],
    grows: bool,  # noqa: FBT001
) -> None:
    """And grow while it falls, as only steps bring it back."""
    points = [point(drift=drift * DRIFT_BOUND) for drift in drifts]
    pace = replace(PACE, rate=5e-3)
    assert (BUDGET.follow(pace, points).rate > pace.rate) == grows


def test_steps_never_shrink_to_nothing() -> None:
    """They would never bring the drift back; nor below a third of the largest that went well."""
    rising = [point(drift=DRIFT_BOUND * (2 + share / 100)) for share in range(90)]
    assert go_on(rising)[-1].rate == FIRST_RATE
    grown = go_on([*[point()] * 12, *rising])
    assert grown[-1].rate == pytest.approx(LARGEST_RATE / 3)
    taken_back = BUDGET.take_back(grown[-1])
    assert go_on_from(taken_back, rising).rate == pytest.approx(FIRST_RATE, rel=1.5)
    assert go_on_from(taken_back, rising).rate < LARGEST_RATE / 6


def test_drift_alone_does_not_raise_the_weight_for_ever() -> None:
    """Most of it is noise that the steps make; once training settles, the weight may rise on."""
    assert go_on([point(drift=9 * DRIFT_BOUND)] * 40)[-1].weight == HEAVIEST
    assert go_on([point(-9.0)] * 30, replace(BUDGET, steps=44))[-1].weight < FIRST_WEIGHT


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        (0.0, 3.1, True),
        (0.0, 2.9, False),
        (2.9, 3.1, False),  # it was there before
        (2.9, 9.0, True),
        (0.0, float("inf"), True),
    ],
)
def test_a_step_too_far_is_taken_back(before: float, after: float, refused: bool) -> None:  # noqa: FBT001
    points = [point(drift=before * DRIFT_BOUND)]
    assert BUDGET.refuses(PACE, after * DRIFT_BOUND, points) == refused
    assert not replace(BUDGET, adapts=False).refuses(PACE, after * DRIFT_BOUND, points)
    assert not BUDGET.refuses(PACE, after * DRIFT_BOUND, [])


@pytest.mark.parametrize(("before", "most"), [(0.9, 20), (1.1, 5)])
def test_it_is_halved_and_not_taken_back_for_ever(before: float, most: int) -> None:
    """Where the drift was within its bound before, any step that ruins it is too large."""
    pace, points = PACE, [point(drift=before * DRIFT_BOUND)]
    for _ in range(most):
        assert BUDGET.refuses(pace, 1.0, points)
        pace = BUDGET.take_back(pace)
    assert (pace.rate, pace.taken_back) == (FIRST_RATE / 2**most, most)
    assert not BUDGET.refuses(pace, 1.0, points)
    assert BUDGET.refuses(BUDGET.follow(pace, points), 1.0, points)


@pytest.mark.parametrize(
    ("wins", "forgotten"),
    [
        ([-0.5] * 10, True),
        ([-0.4] * 10, False),
        ([0.1] + [-1.0] * 9, True),  # one view of one sample
        ([9.0] + [-0.5] * 10, True),  # before the window
    ],
)
def test_forgotten_is_what_loses_clearly(wins: list[float], forgotten: bool) -> None:  # noqa: FBT001
    assert is_forgotten([point(win) for win in wins], 0.5) == forgotten


@pytest.mark.parametrize(
    ("first", "second", "count", "stuck"),
    [(1.0, 1.0, 30, True), (1.0, 0.97, 30, False), (1.0, 0.99, 30, True), (1.0, 1.0, 29, False),
     (-1.0, -9.0, 30, False)],
)  # fmt: skip
def test_stuck_is_where_the_loss_no_longer_falls(
    first: float,
    second: float,
    count: int,
    stuck: bool,  # noqa: FBT001
) -> None:
    points = [point(loss=first)] * count + [point(loss=second)] * 30
    assert is_stuck(points, 60) == stuck
    assert not is_stuck(points, 120)


def test_forgotten_and_kept_it_settles_and_ends() -> None:
    """In ever smaller steps, with ever more weight on what is kept."""
    paces = go_on([point(-1.0)] * (20 + SETTLING))
    settling = [pace for pace in paces if pace.settled]
    assert paces[-1].stop == FORGOTTEN
    assert [pace.stop for pace in paces[:-1]] == [None] * (19 + SETTLING)
    assert settling[-1].rate < settling[0].rate / 5
    assert settling[-1].weight > settling[0].weight


@pytest.mark.parametrize(
    ("win", "drift", "reason"),
    [(1.0, 0.5, TOO_LITTLE_FORGOTTEN), (-1.0, 1.2, TOO_MUCH_DRIFT), (1.0, 9.0, TOO_MUCH_DRIFT)],
)
def test_it_gives_up_and_says_what_is_missing(win: float, drift: float, reason: str) -> None:
    """Never forgotten and settled where the drift is beyond its bound."""
    points: list[TrainingStep] = []
    pace = PACE
    while pace.stop is None and len(points) < 400:
        points.append(point(win, drift * DRIFT_BOUND))
        pace = BUDGET.follow(pace, points)
    assert pace.stop == hint(
        "{reason}, or {effort=thorough}, which goes on for longer", reason=reason
    )


@pytest.mark.parametrize(
    ("win", "drift", "bounds"),
    [
        (1.0, 0.5, [1.0, 2.0, 4.0]),
        (1.0, 2.9, [1.0, 2.0, 4.0]),
        (-0.1, 2.9, [1.0]),
        (-1.0, 1.2, [1.0]),
        (1.0, 9.0, [1.0]),
    ],
)
def test_a_bound_within_which_nothing_is_forgotten_doubles(
    win: float, drift: float, bounds: list[float]
) -> None:
    """Also where the drift is a little beyond it and the class still wins; but not where retained
    classes are not kept at all, and never beyond the loosest.
    """
    assert list_bounds(BUDGET, win, drift) == bounds
    assert max(bounds) * DRIFT_BOUND <= LOOSEST
    tight = replace(BUDGET, loosest=2 * DRIFT_BOUND)
    assert list_bounds(tight, win, drift) == bounds[:2]


def list_bounds(budget: Budget, win: float, drift: float) -> list[float]:
    """List the bounds of a training that sees only this, in units of the first."""
    points, pace, seen = [], PACE, []
    while pace.stop is None and len(points) < 600:
        points.append(point(win, drift * DRIFT_BOUND))
        pace = budget.follow(pace, points)
        seen.append(pace.bound / DRIFT_BOUND)
    return sorted({*seen})


def end(effort: Effort, win: float, limit: int = 2000) -> tuple[int, Pace]:
    """How many steps it takes until nothing but `win` was seen for long enough."""
    budget, pace = start_budget(
        steps=None, measures=True, is_rounded=False, is_rate_given=False, effort=effort
    )
    points: list[TrainingStep] = []
    while pace.stop is None and len(points) < limit:
        points.append(point(win))
        pace = budget.follow(pace, points)
    return len(points), pace


def test_more_effort_goes_on_for_longer() -> None:
    counts = []
    for effort in get_args(Effort):
        steps, pace = end(effort, 1.0)
        counts.append(steps)
        assert (pace.stop == TOO_LITTLE_FORGOTTEN) == (effort == "thorough")
        assert steps <= ENDURANCE[effort].steps
    assert counts == sorted(set(counts))


@pytest.mark.parametrize(("win", "forgotten"), [(-0.4, 0), (-0.6, 1), (-1.4, 2), (-1.6, 3)])
def test_more_effort_wants_the_class_to_lose_by_more(win: float, forgotten: int) -> None:
    """The margin that is sure is 1 at the standard effort."""
    settles = [bool(end(effort, win, 20)[1].settled) for effort in get_args(Effort)]
    assert settles == [place < forgotten for place in range(3)]


@pytest.mark.parametrize(("margin", "forgotten"), [(0.9, True), (1.1, False)])
def test_how_surely_it_is_to_lose_is_the_networks_own_margin(
    margin: float,
    forgotten: bool,  # noqa: FBT001
) -> None:
    paces = go_on([point(-1.0)] * 20, replace(BUDGET, margin=margin))
    assert bool(paces[-1].settled) == forgotten


def test_a_step_after_which_nothing_can_be_computed_is_taken_back() -> None:
    weight, calls = nn.Parameter(torch.zeros(1)), []

    def objective() -> Losses:
        calls.append(weight.item())
        if weight.item() < -0.9 * FIRST_RATE:
            message = "it overflows"
            raise FloatingPointError(message)
        zero = weight.sum() * 0
        return Losses(
            forget=weight.sum(), retain=zero, alignment=zero, drift=0.0, forget_margin=1.0,
            win_margin=1.0,
        )  # fmt: skip

    optimizer = torch.optim.SGD([weight], lr=1.0)
    trajectory = train(optimizer, objective, BUDGET, PACE, max_steps=2, on_step=lambda _: None)
    assert trajectory.pace.taken_back == 1
    assert calls[1] < -0.9 * FIRST_RATE
    assert calls[2] == 0
    rate_given = replace(BUDGET, adapts=False)
    fresh = torch.optim.SGD([weight], lr=1.0)
    with pytest.raises(TrainingDivergedError, match="it overflows"):
        train(fresh, objective, rate_given, PACE, max_steps=9, on_step=lambda _: None)


def test_steps_that_were_told_settle_at_their_end() -> None:
    told = replace(BUDGET, steps=60)
    paces = go_on([point(-1.0)] * 60, told)
    assert all(pace.stop is None for pace in paces)
    assert [bool(pace.settled) for pace in paces] == [False] * (60 - SETTLING) + [True] * SETTLING
    few = go_on([point(-1.0)] * 30, replace(BUDGET, steps=30))
    assert not any(pace.settled for pace in few)


def test_a_rate_that_was_given_stays() -> None:
    budget, pace = start_budget(steps=None, measures=True, is_rounded=False, is_rate_given=True)
    assert (budget.adapts, pace.rate) == (False, 1.0)
    assert {each.rate for each in go_on([point(-1.0)] * 40, budget)} == {FIRST_RATE}


ROUNDED = RoundedDrift(first=0.04, loosest=0.08, slack=1.2)


@pytest.mark.parametrize(
    ("rounded", "expected"), [(None, (False, 0.1, FIXED_RATE)), (ROUNDED, (True, 0.04, FIRST_RATE))]
)
def test_steps_on_rounded_weights_adapt_where_their_drift_is_bounded(
    rounded: RoundedDrift | None, expected: tuple[bool, float, float]
) -> None:
    budget, pace = start_budget(
        steps=None, measures=True, is_rounded=True, is_rate_given=False, rounded=rounded
    )
    assert (budget.adapts, pace.bound, pace.rate) == expected


@pytest.mark.parametrize(("drift", "largest"), [(0.046, 0.08), (0.05, 0.04)])
def test_a_drift_that_rounding_makes_holds_no_bound_down(drift: float, largest: float) -> None:
    """It stays a little above the bound for ever, within which the class would not be sure to
    lose.
    """
    budget, pace = start_budget(
        steps=None, measures=True, is_rounded=True, is_rate_given=False, rounded=ROUNDED
    )
    points: list[TrainingStep] = []
    bounds = [pace.bound]
    while pace.stop is None and len(points) < 600:
        points.append(point(-0.1, drift))
        pace = budget.follow(pace, points)
        bounds.append(pace.bound)
    assert max(bounds) == pytest.approx(largest)


def run(drifts: Sequence[float], weight: nn.Parameter, steps: int) -> Trajectory:
    """Train one weight down by whatever drift is read, whose values are given."""
    left = iter(drifts)

    def objective() -> Losses:
        drift = next(left)
        zero = weight.sum() * 0
        return Losses(
            forget=weight.sum(), retain=zero, alignment=zero, drift=drift, forget_margin=1.0,
            win_margin=1.0,
        )  # fmt: skip

    optimizer = torch.optim.SGD([weight], lr=1.0)
    return train(optimizer, objective, BUDGET, PACE, max_steps=steps, on_step=lambda _: None)


def test_training_goes_back_to_where_it_was() -> None:
    straight, refused = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    run([0.0], straight, 1)
    trajectory = run([0.0, 1.0, 0.0], refused, 2)
    assert trajectory.pace.taken_back == 1
    assert [each.drift for each in trajectory.points] == [0.0, 0.0]
    # the first step is undone, so that the second starts at 0 again, half as large as it would be
    assert refused.item() == pytest.approx(-1.5 * FIRST_RATE / 2)
    assert straight.item() == pytest.approx(-FIRST_RATE)
