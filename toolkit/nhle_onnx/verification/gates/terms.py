"""Counts to judge, and the terms to judge them by."""

from collections.abc import Sequence
from dataclasses import dataclass

from nhle_onnx.hints import hint
from nhle_onnx.text import name_class
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.gates import Limits

NO_BASELINE = hint(
    "without {baseline} nothing shows that the model ever knew the class, what the others lost, or "
    "whether the class is gone from the features: give the model before it forgot"
)
_SHOWN = 5


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
class Terms:
    """The limits to judge by, for the classes of a request.

    `labels` [K] name classes for people.
    """

    request: ForgetRequest
    limits: Limits
    labels: Sequence[str] = ()

    def list_unjudged(self, counts: ClassCounts) -> tuple[list[int], bool]:
        """Return the retained classes without an image, and whether so many may stay unknown."""
        unjudged = [index for index in self.request.retained if not counts.total[index]]
        return unjudged, len(unjudged) <= self.limits.max_uncertainty * len(self.request.retained)

    def list_names(self, classes: Sequence[int]) -> str:
        """Name the first of several classes."""
        return join_first([self.name(index) for index in classes])

    def name(self, index: int) -> str:
        """Name a class."""
        return name_class(index, self.labels[index]) if self.labels else str(index)


def join_first(texts: Sequence[str]) -> str:
    """Join the first of several texts, and say that there are more."""
    return ", ".join(texts[:_SHOWN]) + ", …" * (len(texts) > _SHOWN)
