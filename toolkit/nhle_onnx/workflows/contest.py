"""The models that `verify` measures side by side, and what was counted of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from onnx import ModelProto

from nhle_onnx.runtime.session import Provider
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.report import Limits
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verify.changes import Changes, compare_models
from nhle_onnx.verify.unmask import restore_head
from nhle_onnx.workflows.measure import LoadedModel, load_subject, name_other
from nhle_onnx.workflows.subject import ModelFlags, Subject, make_request, open_subject


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings:
    """What the user asked of `verify`. `workers` None is one a core of the engine's;
    `compares_kernels` counts by the kernels that do not judge, too.
    """

    model: Path
    forget: tuple[str, ...]
    data: Path
    flags: ModelFlags
    baseline: Path | None = None
    providers: tuple[Provider, ...] = ("auto",)
    kernels: Kernels = "exact"
    compares_kernels: bool = False
    limits: Limits = Limits()
    batch_size: int = 256
    engine: str = "local"
    workers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a baseline adds; `restored` is the model with the baseline's head, where it fits."""

    subject: Subject
    restored: ModelProto | None
    changes: Changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The model, the classes that it forgot, and what it is compared with."""

    subject: Subject
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


def open_contest(settings: VerifySettings) -> Contest:
    """Load the models. Raises what opening any of them raises."""
    subject = open_subject(settings.model, settings.flags)
    request = make_request(subject, settings.forget)
    baseline = None
    if settings.baseline:
        baseline = _open_baseline(settings.baseline, settings.flags, subject)
    return Contest(subject=subject, request=request, baseline=baseline)


def load_models(settings: VerifySettings, contest: Contest) -> list[LoadedModel]:
    """The model on each provider; then, on the first, those that `name_extras` names."""
    subject, baseline = contest.subject, contest.baseline
    provider, kernels = settings.providers[0], settings.kernels
    models = [load_subject(subject, each, kernels) for each in settings.providers]
    if baseline:
        models.append(load_subject(baseline.subject, provider, kernels))
        if baseline.restored:
            models.append(load_subject(subject, provider, kernels, baseline.restored))
    if settings.compares_kernels:
        compared = (subject, baseline.subject) if baseline else (subject,)
        models += [load_subject(each, provider, name_other(kernels)) for each in compared]
    return models


def name_extras(settings: VerifySettings, contest: Contest) -> tuple[str, ...]:
    """What stands behind the providers' models in a tally; `other` are the other kernels."""
    baseline = contest.baseline
    names = {
        "before": baseline is not None,
        "unmasked": baseline is not None and baseline.restored is not None,
        "other after": settings.compares_kernels,
        "other before": settings.compares_kernels and baseline is not None,
    }
    return tuple(name for name, is_there in names.items() if is_there)


def _open_baseline(path: Path, flags: ModelFlags, subject: Subject) -> Baseline:
    baseline = open_subject(path, flags)
    ours, theirs = (
        (head.num_classes, head.feature_dim, head.class_axis)
        for head in (subject.head, baseline.head)
    )
    restored = None
    if ours == theirs:
        restored = restore_head(
            subject.model.proto, subject.head, baseline.model.proto, baseline.head
        )
    return Baseline(
        subject=baseline,
        restored=restored,
        changes=compare_models(baseline.model.proto, subject.model.proto),
    )


def _join(these: str, those: str) -> str:
    return "+".join(sorted({*these.split("+"), *those.split("+")}))
