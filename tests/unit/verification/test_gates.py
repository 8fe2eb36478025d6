"""PASSED claims no more than the counts carry, whatever they are."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.verdict import Check, conclude
from nhle_onnx.verification.gates import Counted, Judge
from nhle_onnx.verification.intervals import (
    bound_share,
    count_needed,
    describe_change,
    describe_share,
)

SHARES = st.sampled_from([0.0, 0.0, 0.01, 0.1, 0.9, 1.0])


@st.composite
def draw_tables(draw: st.DrawFn) -> tuple[ForgetRequest, Counted]:
    """Counts of a few classes: often of models that forgot well, on many images or few."""
    count = draw(st.integers(2, 6))
    forget = draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=count - 1))
    totals = draw(st.lists(st.sampled_from([0, 1, 5, 49, 60, 400]), min_size=count, max_size=count))
    copies = tuple(
        draw(st.sampled_from([0, 0, 0, total // 2, max(total - 1, 0)])) for total in totals
    )
    request = ForgetRequest(forget=tuple(sorted(forget)), num_classes=count)

    def draw_counts(*, is_forgotten: bool) -> ClassCounts:
        shares = [
            draw(SHARES) if draw(st.booleans()) else float(index not in forget or not is_forgotten)
            for index in range(count)
        ]
        correct = tuple(round(share * total) for share, total in zip(shares, totals, strict=True))
        return ClassCounts(correct=correct, total=tuple(totals), copies=copies)

    before = draw_counts(is_forgotten=False) if draw(st.booleans()) else None
    counted = Counted(
        before=before,
        after=draw_counts(is_forgotten=True),
        unmasked=draw_counts(is_forgotten=True) if before else None,
        judges_features=draw(st.booleans()),
        is_tuning=draw(st.sampled_from([False, False, False, True])),
    )
    return request, counted


def judge(request: ForgetRequest, counted: Counted, limits: Limits) -> tuple[Check, ...]:
    return Judge(request=request, limits=limits).judge(counted)[0]


@given(draw_tables(), st.sampled_from([0.0, 0.05, 0.3]))
def test_passed_implies_what_it_claims(
    table: tuple[ForgetRequest, Counted], uncertainty: float
) -> None:
    request, counted = table
    limits = Limits(max_uncertainty=uncertainty)
    if conclude(judge(request, counted, limits)) != "passed":
        return
    assert not counted.is_tuning
    assert counted.before is not None
    for index in request.forget:
        count = counted.after.total[index] - counted.after.copies[index]
        assert counted.after.correct[index] <= count
        # by an oracle: were it recognised more often, so few hits would be seen in 5 % of cases
        hits = counted.after.correct[index]
        upper = binomtest(hits, count, alternative="less").proportion_ci(0.95, "exact").high
        assert upper <= limits.max_acc_f + uncertainty + 1e-12
        assert counted.before.correct[index] / counted.before.total[index] >= upper
    unjudged = [index for index in request.retained if not counted.after.total[index]]
    assert len(unjudged) <= uncertainty * len(request.retained)


@given(draw_tables())
def test_a_missed_limit_fails_however_little_is_known(
    table: tuple[ForgetRequest, Counted],
) -> None:
    request, counted = table
    total = sum(counted.after.total[index] for index in request.forget)
    hits = sum(counted.after.correct[index] for index in request.forget)
    if total and hits / total > Limits().max_acc_f:
        assert conclude(judge(request, counted, Limits())) == "failed"


@given(draw_tables())
def test_a_gap_is_said(table: tuple[ForgetRequest, Counted]) -> None:
    request, counted = table
    for check in judge(request, counted, Limits()):
        assert bool(check.gap) or check.verdict != "not-judged"


@given(draw_tables())
def test_more_images_of_the_same_kind_are_never_less_evidence(
    table: tuple[ForgetRequest, Counted],
) -> None:
    request, counted = table
    fewer, more = (
        replace(
            counted,
            **{
                name: _multiply(counts, times)
                for name in ("before", "after", "unmasked")
                if (counts := getattr(counted, name))
            },
        )
        for times in (1, 10)
    )
    if conclude(judge(request, fewer, Limits())) == "passed":
        assert conclude(judge(request, more, Limits())) == "passed"


def _multiply(counts: ClassCounts, times: int) -> ClassCounts:
    return ClassCounts(
        correct=tuple(times * each for each in counts.correct),
        total=tuple(times * each for each in counts.total),
        copies=tuple(times * each for each in counts.copies),
    )


def test_nothing_at_all_is_not_judged() -> None:
    assert conclude(()) == "not-judged"


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_are_those_of_scipy(pair: tuple[int, int]) -> None:
    hits, count = pair
    two_sided = binomtest(hits, count).proportion_ci(0.95, "exact")
    assert describe_share(hits, count).interval == pytest.approx(two_sided, abs=1e-9)
    upper = binomtest(hits, count, alternative="less").proportion_ci(0.95, "exact").high
    assert bound_share(hits, count) == pytest.approx(upper, abs=1e-9)
    lower = binomtest(hits, count, alternative="greater").proportion_ci(0.95, "exact").low
    found = describe_share(hits, count, is_bad_high=False).bound
    assert found == pytest.approx(lower, abs=1e-9)


@given(
    st.integers(1, 500).flatmap(
        lambda n: st.tuples(st.integers(0, n), st.integers(0, n), st.just(n))
    )
)
def test_a_change_is_bounded_as_newcombe_does(triple: tuple[int, int, int]) -> None:
    before, after, count = triple
    was, now = (binomtest(hits, count).proportion_ci(0.95, "wilson") for hits in (before, after))
    change = (after - before) / count
    low = change - math.hypot(after / count - now.low, was.high - before / count)
    high = change + math.hypot(now.high - after / count, before / count - was.low)
    found = describe_change(before / count, after / count, count)
    assert found.interval == pytest.approx((low, high), abs=1e-6)
    assert found.interval[0] - 1e-12 <= found.bound <= change + 1e-12


@pytest.mark.parametrize(("bound", "needed"), [(0.06, 49), (0.01, 299), (0.5, 5)])
def test_so_many_images_are_needed(bound: float, needed: int) -> None:
    assert count_needed(bound) == needed
    assert bound_share(0, needed) <= bound < bound_share(0, needed - 1)


@pytest.mark.parametrize(("unseen", "noted"), [(0, False), (1, True), (2, False)])
def test_a_class_that_nobody_judged_is_named(unseen: int, *, noted: bool) -> None:
    """Where so few may stay unknown that the verdict is given all the same; else that is open."""
    total = (0,) * unseen + (60,) * (31 - unseen)
    counts = ClassCounts(correct=(*total[:-1], 0), total=total, copies=(0,) * 31)
    request = ForgetRequest(forget=(30,), num_classes=31)
    checks, notes = Judge(request=request, limits=Limits()).judge(
        Counted(before=replace(counts, correct=total), after=counts, unmasked=counts)
    )
    assert ("nothing is said of classes without an image to judge by: 0" in notes) == noted
    (retained,) = (check for check in checks if check.name == "delta_acc_r")
    assert bool(retained.gap) == (unseen > 1)
