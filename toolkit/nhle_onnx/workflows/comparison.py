"""The models that `verify` measures side by side, and what was counted of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from onnx import ModelProto

from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.settings.verify import VerifySettings
from nhle_onnx.verification.changes import Changes, compare_models
from nhle_onnx.verification.unmask import restore_head
from nhle_onnx.workflows.classifier import Classifier, make_request, open_classifier
from nhle_onnx.workflows.measure import LoadedModel, load_classifier, name_other


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a baseline adds; `restored` is the model with the baseline's head, where it fits."""

    classifier: Classifier
    restored: ModelProto | None
    changes: Changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The model, the classes that it forgot, and what it is compared with."""

    classifier: Classifier
    request: ForgetRequest
    baseline: Baseline | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts of each model on some of the samples, and where it ran.

    Tallies of parts of the samples sum to the tally of all; a model that ran on several providers
    names them all.
    """

    counts: tuple[ClassCounts, ...]
    providers: tuple[str, ...]

    def __add__(self, other: Self) -> "Tally":
        """The tally of both parts."""
        return Tally(
            counts=tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            providers=tuple(map(_join, self.providers, other.providers)),
        )


def open_comparison(settings: VerifySettings) -> Comparison:
    """Load the models. Raises what opening any of them raises."""
    classifier = open_classifier(settings.model, settings.flags)
    request = make_request(classifier, settings.forget)
    baseline = None
    if settings.baseline:
        baseline = _open_baseline(settings.baseline, settings.flags, classifier)
    return Comparison(classifier=classifier, request=request, baseline=baseline)


def load_models(settings: VerifySettings, comparison: Comparison) -> list[LoadedModel]:
    """The model on each provider; then, on the first, those that `name_extras` names."""
    classifier, baseline = comparison.classifier, comparison.baseline
    provider, kernels = settings.providers[0], settings.kernels
    models = [load_classifier(classifier, each, kernels) for each in settings.providers]
    if baseline:
        models.append(load_classifier(baseline.classifier, provider, kernels))
        if baseline.restored:
            models.append(load_classifier(classifier, provider, kernels, baseline.restored))
    if settings.compares_kernels:
        compared = (classifier, baseline.classifier) if baseline else (classifier,)
        models += [load_classifier(each, provider, name_other(kernels)) for each in compared]
    return models


def name_extras(settings: VerifySettings, comparison: Comparison) -> tuple[str, ...]:
    """What stands behind the providers' models in a tally; `other` are the other kernels."""
    baseline = comparison.baseline
    names = {
        "before": baseline is not None,
        "unmasked": baseline is not None and baseline.restored is not None,
        "other after": settings.compares_kernels,
        "other before": settings.compares_kernels and baseline is not None,
    }
    return tuple(name for name, is_there in names.items() if is_there)


def _open_baseline(path: Path, flags: ModelFlags, classifier: Classifier) -> Baseline:
    baseline = open_classifier(path, flags)
    ours, theirs = (
        (head.num_classes, head.feature_dim, head.class_axis)
        for head in (classifier.head, baseline.head)
    )
    restored = None
    if ours == theirs:
        restored = restore_head(
            classifier.model.proto, classifier.head, baseline.model.proto, baseline.head
        )
    return Baseline(
        classifier=baseline,
        restored=restored,
        changes=compare_models(baseline.model.proto, classifier.model.proto),
    )


def _join(these: str, those: str) -> str:
    return "+".join(sorted({*these.split("+"), *those.split("+")}))
