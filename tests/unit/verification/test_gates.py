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
from nhle_onnx.verification.gates import judge as judging
from nhle_onnx.verification.gates.judge import Judge, word_checks
from nhle_onnx.verification.gates.notes import describe_evidence
from nhle_onnx.verification.gates.terms import Counted, Terms
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


def test_no_number_of_images_bounds_a_share_by_nothing() -> None:
    assert count_needed(0.0) == 0


def make_counts(*pairs: tuple[int, int]) -> ClassCounts:
    right, total = zip(*pairs, strict=True)
    return ClassCounts(correct=right, total=total, copies=(0,) * len(pairs))


FEW = ForgetRequest(forget=(0,), num_classes=2)
MANY = ForgetRequest(forget=(0, 1), num_classes=3)


def test_few_images_are_noted_with_what_they_leave_open() -> None:
    judge = Judge(request=MANY, limits=Limits(), labels=("cat", "dog", "cow"))
    after = make_counts((0, 1), (1, 20), (60, 60))
    assert describe_evidence(judge, Counted(after=after)) == (
        (
            "only 1 test image of 0 cat: at most 95 % may still be recognised (95 % confidence); "
            "add images to tighten this"
        ),
        (
            "only 20 test images of 1 dog: at most 22 % may still be recognised (95 % confidence); "
            "add images to tighten this"
        ),
    )
    assert describe_evidence(judge, Counted(after=make_counts((0, 60), (30, 6000), (0, 60)))) == ()


@pytest.mark.parametrize(("left", "is_noted"), [(10, True), (33, False)])
def test_a_class_whose_loss_others_hide_is_named(left: int, *, is_noted: bool) -> None:
    """A hundred classes: the mean of the others hides that one of them is gone."""
    total = (40,) * 100
    before = ClassCounts(correct=(36,) * 100, total=total)
    after = replace(before, correct=(0, left, *(36,) * 98))
    judge = Judge(request=ForgetRequest(forget=(0,), num_classes=100), limits=Limits())
    checks, notes = judge.judge(Counted(before=before, after=after, unmasked=after))
    (retained,) = (check for check in checks if check.name == "delta_acc_r")
    assert retained.verdict == "passed"
    note = (
        "1 retained class lost more than all of them together may (95 % confidence): "
        "1 (0.90 → 0.25)"
    )
    assert (note in notes) == is_noted


def test_the_classes_that_lost_most_are_named_first() -> None:
    total = (100,) * 9
    before, after = (
        ClassCounts(correct=correct, total=total) for correct in (total, (0, *range(80, 0, -10)))
    )
    terms = Terms(request=ForgetRequest(forget=(0,), num_classes=9), limits=Limits())
    (note,) = describe_evidence(terms, Counted(before=before, after=after))
    assert note.startswith("8 retained classes lost")
    assert note.endswith(
        ": 8 (1.00 → 0.10), 7 (1.00 → 0.20), 6 (1.00 → 0.30), 5 (1.00 → 0.40), 4 (1.00 → 0.50), …"
    )


def test_another_output_is_judged_under_its_name() -> None:
    judge = Judge(request=FEW, limits=Limits())
    found = judge.judge_output("output label.acc_f", make_counts((50, 100), (100, 100)))
    assert (found.name, found.value, found.verdict) == ("output label.acc_f", 0.5, "failed")


def test_of_several_classes_the_worst_is_judged_by_itself() -> None:
    after = make_counts((0, 200), (8, 200), (200, 200))
    found = {check.name: check for check in judge(MANY, Counted(after=after), Limits())}
    worst = found["after.acc_f.worst_class"]
    assert (worst.value, worst.limit, worst.better) == (0.04, pytest.approx(0.06), "lower")
    assert found["after.acc_f"].value == 0.02
    assert "after.acc_f.worst_class" not in {
        check.name for check in judge(FEW, Counted(after=make_counts((0, 9), (9, 9))), Limits())
    }


def test_a_head_that_does_not_fit_shows_nothing() -> None:
    before, unmasked = make_counts((99, 100), (99, 100)), make_counts((0, 100), (40, 100))
    after = make_counts((0, 100), (99, 100))
    for counts, has_gap in ((unmasked, True), (make_counts((0, 100), (50, 100)), False)):
        counted = Counted(before=before, after=after, unmasked=counts)
        (check,) = (
            check for check in judge(FEW, counted, Limits()) if check.name == "unmasked.acc_f"
        )
        assert check.gap.startswith("with the original's head only 0.400") == has_gap


def test_gaps_name_options_as_flags() -> None:
    counted = Counted(after=make_counts((0, 0), (9, 9)))
    checks = judge(FEW, counted, Limits())
    first = word_checks(checks, "flags")[0]
    assert first.gap == "there is no image of 0 to judge by: give --data with some"
    assert word_checks(checks, "keywords")[0].gap.endswith("give data= with some")


_ASKED = ": give data= with more, or a larger max_uncertainty="
_UNKNOWN = (
    "0 cat cannot tell what was known of it before from what may be left: give data= with more"
)


def test_every_gate_with_its_limit_and_evidence() -> None:
    """Exactly: names, directions and limits are read by programs, gaps by people."""
    counted = Counted(
        after=make_counts((0, 20), (95, 100)),
        before=make_counts((10, 20), (97, 100)),
        unmasked=make_counts((0, 20), (90, 100)),
    )
    checks, _ = Judge(request=FEW, limits=Limits(), labels=("cat", "dog")).judge(counted)
    found = [(check.name, check.better, check.limit, check.value) for check in checks]
    assert found == [
        ("after.acc_f", "lower", 0.01, 0.0),
        ("delta_acc_r", "higher", -0.035, pytest.approx(-0.02)),
        ("unmasked.acc_f", "lower", 0.05, 0.0),
        ("known_before", "higher", 0.5, 0.5),
        ("skill_before", "higher", 0.05, pytest.approx(0.47)),
    ]
    images = [check.evidence.images if check.evidence else None for check in checks]
    assert images == [20, 100, 20, 20, None]
    few = "only 20 different test images of 0 cat: 14 % may still be recognised (95 % confidence)"
    assert [check.gap for check in checks] == [
        f"{few}; about 49 are enough{_ASKED}", "", f"{few}; about 29 are enough{_ASKED}",
        f"20 images of {_UNKNOWN}", "",
    ]  # fmt: skip


def test_every_gate_without_the_original() -> None:
    counted = Counted(after=make_counts((0, 60), (95, 100), (90, 100)))
    request = ForgetRequest(forget=(0,), num_classes=3)
    checks = judge(request, counted, Limits())
    assert [each.limit for each in checks] == [0.01, -0.035, 0.05, 1 / 3, 0.05]
    found = [(each.name, each.better, each.value is None, bool(each.gap)) for each in checks]
    assert found == [
        ("after.acc_f", "lower", False, False), ("delta_acc_r", "higher", True, True),
        ("unmasked.acc_f", "lower", True, True), ("known_before", "higher", True, True),
        ("skill_after", "higher", False, False),
    ]  # fmt: skip


@pytest.mark.parametrize(("hits", "is_noted"), [(9, True), (10, False), (19, False)])
def test_a_class_that_was_known_no_better_than_by_guessing(hits: int, *, is_noted: bool) -> None:
    counted = Counted(
        before=make_counts((hits, 20), (97, 100)), after=make_counts((0, 200), (95, 100))
    )
    notes = describe_evidence(Judge(request=FEW, limits=Limits()), counted)
    note = (
        "the model did not know class 0 to begin with: it recognises 0.450 of these images, no "
        "more than guessing would, so a low Acc_F is no evidence of forgetting; check the labels "
        "and the preprocessing"
    )
    assert notes == ((note,) if is_noted else ())


def test_a_gate_is_one_function_and_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge_images(terms: Terms, counted: Counted) -> list[Check]:
        count = float(sum(counted.after.total[index] for index in terms.request.forget))
        return [Check(name="images", value=count, limit=10, better="higher")]

    monkeypatch.setattr(judging, "GATES", (*judging.GATES, judge_images))
    checks = judge(FEW, Counted(after=make_counts((0, 9), (9, 9))), Limits())
    assert (checks[-1].name, checks[-1].verdict) == ("images", "failed")


_NOTHING_BEFORE = (
    "without baseline= nothing shows that the model ever knew the class, what the others lost, or "
    "whether the class is gone from the features: give the model before it forgot"
)


def find_gaps(
    counted: Counted,
    request: ForgetRequest = FEW,
    limits: Limits = Limits(),
    labels: tuple[str, ...] = (),
) -> dict[str, str]:
    checks, _ = Judge(request=request, limits=limits, labels=labels).judge(counted)
    return {check.name: check.gap for check in checks if check.gap}


def test_gaps_without_the_original() -> None:
    counted = Counted(after=make_counts((0, 60), (95, 100)))
    assert find_gaps(counted) == {
        **dict.fromkeys(("delta_acc_r", "unmasked.acc_f", "known_before"), _NOTHING_BEFORE),
        "skill_after": "images of fewer than two classes cannot show that the model tells classes "
        "apart: give data= with images of others",
    }
    found = find_gaps(replace(counted, misfit="the heads have other widths"))
    assert found["unmasked.acc_f"] == "the heads have other widths"
    assert "unmasked.acc_f" not in find_gaps(replace(counted, judges_features=False))


def test_images_of_the_tuning_decide_nothing() -> None:
    counts = make_counts((0, 60), (100, 100))
    counted = Counted(
        after=counts, before=make_counts((60, 60), (100, 100)), unmasked=counts, is_tuning=True
    )
    said = "these are the images that it was tuned on: give data= with other images"
    names = ("after.acc_f", "delta_acc_r", "unmasked.acc_f", "known_before", "skill_before")
    assert find_gaps(counted) == dict.fromkeys(names, said)
    assert find_gaps(replace(counted, is_tuning=False)) == {}


def test_the_gap_of_a_head_that_does_not_fit() -> None:
    before, after = make_counts((200, 200), (99, 100)), make_counts((0, 200), (99, 100))
    counted = Counted(before=before, after=after, unmasked=make_counts((0, 200), (49, 100)))
    assert find_gaps(counted) == {
        "unmasked.acc_f": "with the original's head only 0.490 of the retained images are "
        "recognised, so that head does not fit these features and shows nothing: run an audit, "
        "which makes one that does"
    }
    worse = replace(counted, after=make_counts((0, 200), (60, 100)))
    assert "unmasked.acc_f" in find_gaps(worse)
    nothing = find_gaps(replace(counted, unmasked=make_counts((0, 200), (0, 100))))
    assert nothing["unmasked.acc_f"].startswith("with the original's head only 0.000 of")
    several = Counted(
        before=make_counts((200, 200), (200, 200), (100, 100)),
        after=make_counts((0, 200), (0, 200), (100, 100)),
        unmasked=make_counts((0, 200), (0, 200), (49, 100)),
    )
    assert [*find_gaps(several, MANY)] == ["unmasked.acc_f"]
    half = make_counts((0, 200), (0, 200), (50, 100))
    assert find_gaps(replace(several, unmasked=half), MANY) == {}


_OF_CATS = " of 0 cat: %d %% may still be recognised (95 %% confidence)"


@pytest.mark.parametrize(
    ("counts", "copies", "said"),
    [
        ((0, 1), 0, f"only 1 test image{_OF_CATS % 95}; about 49 are enough{_ASKED}"),
        ((0, 48), 0, f"only 48 different test images{_OF_CATS % 6}; about 49 are enough{_ASKED}"),
        ((0, 60), 12, f"only 48 different test images{_OF_CATS % 6}; about 49 are enough{_ASKED}"),
        ((0, 49), 0, None),
        ((0, 60), 11, None),
        ((3, 49), 0, f"only 49 different test images{_OF_CATS % 15}{_ASKED}"),
        ((0, 0), 0, "there is no image of 0 cat to judge by: give data= with some"),
    ],
)
def test_how_many_images_of_a_forgotten_class_are_enough(
    counts: tuple[int, int], copies: int, said: str | None
) -> None:
    after = replace(make_counts(counts, (9, 9)), copies=(copies, 0))
    assert find_gaps(Counted(after=after), labels=("cat", "dog")).get("after.acc_f") == said


def test_the_gap_is_of_the_class_with_the_least_evidence() -> None:
    gaps = find_gaps(Counted(after=make_counts((0, 60), (0, 20), (9, 9))), MANY)
    said = "only 20 different test images of 1: 14 % may still be recognised (95 % confidence)"
    assert gaps["after.acc_f"] == f"{said}; about 49 are enough{_ASKED}"
    assert gaps["after.acc_f.worst_class"] == gaps["after.acc_f"]


def test_a_bound_at_what_is_allowed_is_enough() -> None:
    limits = Limits(max_acc_f=0.0, max_uncertainty=bound_share(0, 20))
    counted = Counted(after=make_counts((0, 20), (9, 9)))
    assert "after.acc_f" not in find_gaps(counted, limits=limits)
    counted = Counted(before=make_counts((9, 9), (9, 10)), after=make_counts((0, 9), (8, 10)))
    limits = Limits(max_acc_r_drop=0.0, max_uncertainty=-describe_change(0.9, 0.8, 10).bound)
    assert "delta_acc_r" not in find_gaps(counted, limits=limits)


def test_no_more_than_five_classes_are_named() -> None:
    for count, names in ((5, "0, 1, 2, 3, 4"), (6, "0, 1, 2, 3, 4, …")):
        request = ForgetRequest(forget=tuple(range(count)), num_classes=count + 1)
        after = make_counts(*([(0, 0)] * count), (9, 9))
        said = f"there is no image of {names} to judge by: give data= with some"
        assert find_gaps(Counted(after=after), request)["after.acc_f"] == said


def test_gaps_of_the_retained_classes() -> None:
    before, after = make_counts((20, 20), (9, 10)), make_counts((0, 20), (8, 10))
    lost = -describe_change(0.9, 0.8, 10).bound
    assert find_gaps(Counted(before=before, after=after))["delta_acc_r"] == (
        f"10 images of retained classes cannot rule out that {100 * lost:.1f} % of them are "
        f"lost{_ASKED}"
    )
    unseen = Counted(before=before, after=make_counts((0, 20), (0, 0)))
    for counted in (unseen, replace(unseen, before=None)):
        assert find_gaps(counted)["delta_acc_r"] == (
            "1 of 1 retained classes have no image to judge by (1): give data= with images of them"
        )


def test_the_change_is_of_all_retained_images_and_its_evidence_of_different_ones() -> None:
    request = ForgetRequest(forget=(0,), num_classes=3)
    before = make_counts((20, 20), (10, 10), (15, 30))
    after = replace(make_counts((0, 20), (9, 10), (9, 30)), copies=(0, 4, 6))
    (check,) = (
        check for check in judge(request, Counted(before=before, after=after), Limits())
        if check.name == "delta_acc_r"
    )  # fmt: skip
    assert check.value == pytest.approx(18 / 40 - 25 / 40)
    assert check.evidence == describe_change(25 / 40, 18 / 40, 30)


@pytest.mark.parametrize(
    ("hits", "left", "limit"), [(60, 60, 0.5), (60, 3, bound_share(0, 3)), (2, 60, 0.5)]
)
def test_a_class_was_known_if_more_was_recognised_than_may_be_left(
    hits: int, left: int, limit: float
) -> None:
    counted = Counted(before=make_counts((hits, 60), (9, 9)), after=make_counts((0, left), (9, 9)))
    checks = {check.name: check for check in judge(FEW, counted, Limits())}
    known = checks["known_before"]
    assert (known.value, known.limit) == (hits / 60, pytest.approx(limit))
    assert known.evidence == describe_share(hits, 60, is_bad_high=False)
    assert (known.gap != "") == (known.evidence.bound < limit)


def test_of_several_classes_that_is_judged_which_was_known_least() -> None:
    before, after = make_counts((60, 60), (30, 60), (9, 9)), make_counts((0, 60), (0, 60), (9, 9))
    checks = {
        check.name: check for check in judge(MANY, Counted(before=before, after=after), Limits())
    }
    assert checks["known_before"].value == 0.5
    unseen = Counted(before=make_counts((60, 60), (0, 0), (9, 9)), after=after)
    assert {c.name: c for c in judge(MANY, unseen, Limits())}["known_before"].value == 1.0
