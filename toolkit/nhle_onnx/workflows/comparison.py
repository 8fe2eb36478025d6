"""The models that `verify` measures side by side, and what was counted of them."""

from dataclasses import dataclass
from functools import partial

from onnx import ModelProto

from nhle_onnx.data.labels import parse_request
from nhle_onnx.graph.head.head import Head
from nhle_onnx.text import explain_lost
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.verify import VerifySettings
from nhle_onnx.verification.changes import Changes, compare_models
from nhle_onnx.workflows.classifier import Classifier, open_classifier, require_same_task, run_alone
from nhle_onnx.workflows.measure import LoadedModel, load_classifier
from nhle_onnx.workflows.other_kernels import name_other


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a baseline adds; `restored` is the model with the baseline's head, where it fits, and
    `misfit` says why it does not.
    """

    classifier: Classifier
    restored: ModelProto | None
    misfit: str
    changes: Changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The model, the classes that it forgot, and what it is compared with."""

    classifier: Classifier
    request: ForgetRequest
    baseline: Baseline | None


def open_comparison(settings: VerifySettings) -> Comparison:
    """Load the models. Raises what opening any of them raises."""
    companions = (settings.baseline,) if settings.baseline else ()
    classifier = open_classifier(settings.model, settings.flags, companions)
    if settings.one_by_one:
        classifier = run_alone(classifier)
    request = parse_request(settings.forget, classifier.labels)
    baseline = None
    if settings.baseline:
        opened = open_classifier(settings.baseline, settings.flags, (settings.model,))
        if settings.one_by_one:
            opened = run_alone(opened)
        baseline = _compare(opened, classifier)
    return Comparison(classifier=classifier, request=request, baseline=baseline)


def load_models(settings: VerifySettings, comparison: Comparison) -> list[LoadedModel]:
    """Load the model on each provider; then, on the first, those that `name_extras` names."""
    classifier, baseline = comparison.classifier, comparison.baseline
    provider, kernels = settings.providers[0], settings.kernels
    load = partial(load_classifier, runtime=settings.runtime)
    models = [load(classifier, each, kernels) for each in settings.providers]
    if baseline:
        models.append(load(baseline.classifier, provider, kernels))
        if baseline.restored:
            models.append(load(classifier, provider, kernels, baseline.restored))
    if settings.compares_kernels:
        compared = (classifier, baseline.classifier) if baseline else (classifier,)
        models += [load(each, provider, name_other(kernels)) for each in compared]
    return models


def name_extras(settings: VerifySettings, comparison: Comparison) -> tuple[str, ...]:
    """Name what follows the providers' models in a tally; `other` are the other kernels."""
    baseline = comparison.baseline
    names = {
        "before": baseline is not None,
        "unmasked": baseline is not None and baseline.restored is not None,
        "other after": settings.compares_kernels,
        "other before": settings.compares_kernels and baseline is not None,
    }
    return tuple(name for name, is_there in names.items() if is_there)


def _compare(baseline: Classifier, classifier: Classifier) -> Baseline:
    require_same_task(baseline, classifier, "baseline")
    ours, theirs = classifier.head.feature_dim, baseline.head.feature_dim
    restored, misfit = None, ""
    if classifier.dropped:
        misfit = (
            "the model has no outputs for the classes that were dropped from it, so the baseline's "
            "head cannot be put back: unlearn's report has the figure"
        )
    elif ours == theirs:
        original = Head(baseline.model.proto, baseline.head)
        restored = Head(classifier.model.proto, classifier.head).restore(original)
        lost = Head(restored, classifier.head).find_lost(original)
        if lost is not None:
            restored = None
            misfit = explain_lost("row", lost)
    else:
        misfit = (
            f"the baseline's head reads {theirs} features and the model's {ours}, so it cannot be "
            "put back: give the model that this one was made from"
        )
    return Baseline(
        classifier=baseline,
        restored=restored,
        misfit=misfit,
        changes=compare_models(baseline.model.proto, classifier.model.proto),
    )
