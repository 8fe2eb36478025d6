"""Counts of each model's answers on a part of the samples; parts add up to the whole."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from nhle_onnx.engines.engine import Outcome, take_value
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.workflows.measure import (
    Evaluation,
    LoadedModel,
    OnBatch,
    count_classes,
    ignore_batch,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts of each model on a part of the samples, and where it ran.

    Tallies of parts add up to the tally of all samples; a model that ran on several providers names
    them all.
    """

    counts: tuple[ClassCounts, ...]
    providers: tuple[str, ...]

    def __add__(self, other: Self) -> "Tally":
        """Return the tally of both parts."""
        return Tally(
            counts=tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            providers=tuple(map(_join, self.providers, other.providers)),
        )


def sum_tallies(outcomes: Iterable[Outcome[Tally]], total: int, on_batch: OnBatch) -> Tally:
    """Return the tally of all parts. Raises the error of any of them."""
    summed: Tally | None = None
    for outcome in outcomes:
        tally = take_value(outcome)
        summed = summed + tally if summed else tally
        done = sum(summed.counts[0].total)
        on_batch(done, max(done, total))
    if summed is None:
        raise ValueError("no part of the samples was counted")
    return summed


def tally_models(
    models: Sequence[LoadedModel],
    evaluation: Evaluation,
    request: ForgetRequest,
    batch_size: int,
    on_batch: OnBatch = ignore_batch,
) -> Tally:
    """Count some samples in this process."""
    counts = count_classes(models, evaluation, request, batch_size, on_batch)
    return Tally(counts=counts, providers=tuple(model.session.provider for model in models))


def _join(these: str, those: str) -> str:
    return "+".join(sorted({*these.split("+"), *those.split("+")}))
