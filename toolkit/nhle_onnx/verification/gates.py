"""The gates: counts against limits, and whether there are enough images to decide.

Every command is judged here. Accuracies alone would pass a model that never knew the class, one
that gives every image the same class, and one measured on the images that it was tuned on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from nhle_onnx.hints import Wording, hint, word
from nhle_onnx.text import format_percent, name_class
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.gates import Limits
from nhle_onnx.values.verdict import Check, Evidence
from nhle_onnx.verification.accuracy import compute_accuracy
from nhle_onnx.verification.intervals import (
    bound_share,
    count_needed,
    describe_change,
    describe_share,
)
from nhle_onnx.verification.skill import MIN_SKILL, measure_skill

FITS = 0.5  # of the retained accuracy: what the original's head must keep to say anything
_SHOWN = 5
_WIDE = 0.05  # a bound further above the value than this is noted
_NO_BASELINE = hint(
    "without {baseline} nothing shows that the model ever knew the class, what the others lost, or "
    "whether the class is gone from the features: give the model before it forgot"
)
_ON_TUNING = "these are the images that it was tuned on: give {data} with other images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Counts on the same images: `after` of the model to judge, `before` of the original, and
    `unmasked` of the model to judge with the original's head.

    `judges_features`: the class must be gone from the features as well. `misfit` says why the
    original's head does not fit, if it does not. `is_tuning`: these images were used for tuning.
    """

    after: ClassCounts
    before: ClassCounts | None = None
    unmasked: ClassCounts | None = None
    judges_features: bool = True
    misfit: str = ""
    is_tuning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judge counts by the limits, for the classes of a request.

    `labels` [K] name classes for people.
    """

    request: ForgetRequest
    limits: Limits
    labels: Sequence[str] = ()

    def judge(self, counted: Counted) -> tuple[tuple[Check, ...], tuple[str, ...]]:
        """Return every gate, judged or not, and notes on the evidence."""
        forgotten = self._judge_forgotten("after.acc_f", counted.after, self.limits.max_acc_f)
        checks = [*forgotten, self._judge_retained(counted)]
        if counted.judges_features:
            checks += self._judge_features(counted)
        checks += self._judge_knowledge(counted)
        if counted.is_tuning:
            checks = [replace(check, gap=hint(_ON_TUNING)) for check in checks]
        return tuple(checks), self.describe(counted)

    def judge_forgotten(self, name: str, counts: ClassCounts) -> Check:
        """Judge how much of the forgotten classes another output of the model recognises."""
        return self._judge_forgotten(name, counts, self.limits.max_acc_f)[0]

    def describe(self, counted: Counted) -> tuple[str, ...]:
        """Note classes that were not known before, that lost much, and those with few images."""
        notes = []
        if counted.before is not None:
            notes += self._describe_unknown(counted.before)
            notes += self._describe_lost(counted.before, counted.after)
        notes += self._describe_unjudged(counted.after)
        for index in self.request.forget:
            hits, count = counted.after.count_distinct(index)
            bound = bound_share(hits, count)
            if count and bound - hits / count > _WIDE:
                images = "1 test image" if count == 1 else f"{count} test images"
                notes.append(
                    f"only {images} of {self._name(index)}: at most {format_percent(bound)} may "
                    "still be recognised (95 % confidence); add images to tighten this"
                )
        return tuple(notes)

    def _judge_forgotten(self, name: str, counts: ClassCounts, limit: float) -> list[Check]:
        """Judge the accuracy on the forgotten classes; and of the worst of several.

        The evidence is that of the class with the highest bound.
        """
        allowed = limit + self.limits.max_uncertainty
        shares = {
            index: describe_share(*counts.count_distinct(index))
            for index in self.request.forget
            if counts.total[index]
        }
        gap = self._explain_few(shares, allowed)
        worst = max(shares.values(), key=lambda each: each.bound) if shares else None
        accuracy = compute_accuracy(counts, self.request)
        main = Check(
            name=name,
            value=accuracy.acc_f,
            limit=limit,
            better="lower",
            evidence=worst,
            gap=gap,
        )
        if len(shares) < 2:  # noqa: PLR2004 - several
            return [main]
        value = max(counts.correct[index] / counts.total[index] for index in shares)
        return [
            main,
            Check(name=f"{name}.worst_class", value=value, limit=allowed, better="lower", gap=gap),
        ]

    def _explain_few(self, shares: dict[int, Evidence], allowed: float) -> str:
        """Explain why the images of forgotten classes are not enough; empty if they are."""
        missing = [index for index in self.request.forget if index not in shares]
        if missing:
            return hint(
                "there is no image of {names} to judge by: give {data} with some",
                names=self._list(missing),
            )
        index, share = max(shares.items(), key=lambda item: item[1].bound)
        if share.bound <= allowed:
            return ""
        needed = count_needed(allowed)
        images = "1 test image" if share.images == 1 else f"{share.images} different test images"
        more = f"; about {needed} are enough" if needed > share.images else ""
        return hint(
            f"only {images} of {{name}}: {format_percent(share.bound)} may still be recognised "
            f"(95 % confidence){more}: give {{data}} with more, or a larger {{max_uncertainty}}",
            name=self._name(index),
        )

    def _judge_retained(self, counted: Counted) -> Check:
        """Judge what the retained classes lost."""
        limit = -self.limits.max_acc_r_drop
        after, before = counted.after, counted.before
        retained = self.request.retained
        count = sum(after.total[index] for index in retained)
        value, evidence, gap = None, None, self._explain_unjudged(after)
        if before is None:
            gap = gap or _NO_BASELINE
        elif count:
            was, now = (
                sum(each.correct[index] for index in retained) / count for each in (before, after)
            )
            value = now - was
            distinct = sum(after.count_distinct(index)[1] for index in retained)
            evidence = describe_change(was, now, distinct)
            lowest = limit - self.limits.max_uncertainty
            if not gap and evidence.bound < lowest:
                gap = hint(
                    f"{evidence.images} images of retained classes cannot rule out that "
                    f"{format_percent(-evidence.bound, 1)} of them are lost: give {{data}} with "
                    "more, or a larger {max_uncertainty}"
                )
        return Check(
            name="delta_acc_r",
            value=value,
            limit=limit,
            better="higher",
            evidence=evidence,
            gap=gap,
        )

    def _list_unjudged(self, counts: ClassCounts) -> tuple[list[int], bool]:
        """Return the retained classes without an image, and whether so many may stay unknown."""
        unjudged = [index for index in self.request.retained if not counts.total[index]]
        return unjudged, len(unjudged) <= self.limits.max_uncertainty * len(self.request.retained)

    def _describe_unjudged(self, counts: ClassCounts) -> list[str]:
        """Note retained classes without an image where the verdict is given all the same."""
        unjudged, is_allowed = self._list_unjudged(counts)
        note = f"nothing is said of classes without an image to judge by: {self._list(unjudged)}"
        return [note] if unjudged and is_allowed else []

    def _explain_unjudged(self, counts: ClassCounts) -> str:
        """Name retained classes without an image, if they are more than may stay unknown."""
        unjudged, is_allowed = self._list_unjudged(counts)
        if is_allowed:
            return ""
        return hint(
            f"{len(unjudged)} of {len(self.request.retained)} retained classes have no image to "
            "judge by ({names}): give {data} with images of them",
            names=self._list(unjudged),
        )

    def _judge_features(self, counted: Counted) -> list[Check]:
        """Judge how much of the class the model recognises with the original's head."""
        limit = self.limits.max_unmasked_acc_f
        if counted.unmasked is None:
            gap = counted.misfit or _NO_BASELINE
            return [Check(name="unmasked.acc_f", value=None, limit=limit, better="lower", gap=gap)]
        checks = self._judge_forgotten("unmasked.acc_f", counted.unmasked, limit)
        kept, known = (
            compute_accuracy(counts, self.request).acc_r or 0.0
            for counts in (counted.unmasked, counted.before or counted.after)
        )
        if kept >= FITS * known:
            return checks
        gap = (
            f"with the original's head only {kept:.3f} of the retained images are recognised, so "
            "that head does not fit these features and shows nothing: run an audit, which makes "
            "one that does"
        )
        first, *others = checks
        return [replace(first, gap=gap), *others]

    def _judge_knowledge(self, counted: Counted) -> list[Check]:
        """Judge whether the model knew the class before, and tells classes apart at all."""
        if counted.before is None:
            after = compute_accuracy(counted.after, self.request)
            retained = [after.per_class[index] for index in self.request.retained]
            return [
                Check(
                    name="known_before",
                    value=None,
                    limit=1 / self.request.num_classes,
                    better="higher",
                    gap=_NO_BASELINE,
                ),
                self._judge_skill("skill_after", retained),
            ]
        before = compute_accuracy(counted.before, self.request)
        known = [
            self._judge_known(index, counted.before, counted.after)
            for index in self.request.forget
            if counted.before.total[index]
        ]
        known.sort(key=lambda check: (check.value or 0.0) - check.limit)
        return [*known[:1], self._judge_skill("skill_before", before.per_class)]

    def _judge_known(self, index: int, before: ClassCounts, after: ClassCounts) -> Check:
        """Judge whether more of a class was recognised than by guessing, or than may be left."""
        limit = max(1 / self.request.num_classes, bound_share(*after.count_distinct(index)))
        evidence = describe_share(*before.count_distinct(index), is_bad_high=False)
        gap = ""
        if evidence.bound < limit:
            gap = hint(
                f"{evidence.images} images of {{name}} cannot tell what was known of it before "
                "from what may be left: give {data} with more",
                name=self._name(index),
            )
        return Check(
            name="known_before",
            value=before.correct[index] / before.total[index],
            limit=limit,
            better="higher",
            evidence=evidence,
            gap=gap,
        )

    def _judge_skill(self, name: str, per_class: Sequence[float | None]) -> Check:
        skill = measure_skill(per_class)
        gap = ""
        if skill is None:
            gap = hint(
                "images of fewer than two classes cannot show that the model tells classes apart: "
                "give {data} with images of others"
            )
        return Check(name=name, value=skill, limit=MIN_SKILL, better="higher", gap=gap)

    def _describe_unknown(self, before: ClassCounts) -> list[str]:
        """Note each forgotten class that the model did not know to begin with."""
        return [
            f"the model did not know class {self._name(index)} to begin with: it recognises "
            f"{known:.3f} of these images, no more than guessing would, so a low Acc_F is no "
            "evidence of forgetting; check the labels and the preprocessing"
            for index in self.request.forget
            if before.total[index]
            and (known := before.correct[index] / before.total[index])
            < 1 / self.request.num_classes
        ]

    def _describe_lost(self, before: ClassCounts, after: ClassCounts) -> list[str]:
        """Note retained classes that surely lost more than all of them together may: among many
        others, the loss of a whole class hardly shows.
        """
        changes = {
            index: (before.correct[index] / count, after.correct[index] / count)
            for index in self.request.retained
            if (count := after.total[index])
        }
        lost = [
            f"{self._name(index)} ({was:.2f} → {now:.2f})"
            for index, (was, now) in sorted(
                changes.items(), key=lambda each: each[1][1] - each[1][0]
            )
            if self._is_lost(was, now, after.count_distinct(index)[1])
        ]
        if not lost:
            return []
        classes = "1 retained class" if len(lost) == 1 else f"{len(lost)} retained classes"
        names = ", ".join(lost[:_SHOWN]) + ", …" * (len(lost) > _SHOWN)
        return [f"{classes} lost more than all of them together may (95 % confidence): {names}"]

    def _is_lost(self, was: float, now: float, images: int) -> bool:
        return describe_change(was, now, images).interval[1] < -self.limits.max_acc_r_drop

    def _list(self, classes: Sequence[int]) -> str:
        names = ", ".join(map(self._name, classes[:_SHOWN]))
        return f"{names}, …" if len(classes) > _SHOWN else names

    def _name(self, index: int) -> str:
        return name_class(index, self.labels[index]) if self.labels else str(index)


def word_checks(checks: Iterable[Check], wording: Wording) -> tuple[Check, ...]:
    """Word the options in the gaps of checks as flags or as keywords."""
    return tuple(replace(check, gap=word(check.gap, wording)) for check in checks)
