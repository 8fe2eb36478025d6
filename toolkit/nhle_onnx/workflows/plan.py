"""unlearn, first half: everything that is decided before a weight changes. No torch."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nhle_onnx.data.labels import parse_request
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.find import list_other_heads
from nhle_onnx.graph.save import check_writable
from nhle_onnx.graph.tensors import make_blank
from nhle_onnx.hints import hint
from nhle_onnx.lowering.weights import check_weights
from nhle_onnx.release.ort_format import convert_to_ort
from nhle_onnx.runtime.kernels import may_saturate
from nhle_onnx.runtime.session import Session
from nhle_onnx.training.effort import describe_less
from nhle_onnx.unlearning.scope import describe_share
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.report import Accuracy, SampleSummary
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.verification.accuracy import compute_accuracy, count_hits, predict_classes
from nhle_onnx.verification.finite import name_model
from nhle_onnx.verification.gates.judge import Judge
from nhle_onnx.workflows.classifier import Classifier, open_classifier, require_all_classes
from nhle_onnx.workflows.feasibility import answer_noise, list_trained
from nhle_onnx.workflows.known import require_known
from nhle_onnx.workflows.masking import check_mask
from nhle_onnx.workflows.measure import (
    Evaluation,
    count_classes,
    describe_suspicion,
    digest_images,
    load_classifier,
)
from nhle_onnx.workflows.observer import Stopwatch
from nhle_onnx.workflows.other_kernels import name_other
from nhle_onnx.workflows.output_checks import check_outputs
from nhle_onnx.workflows.sample_warnings import describe_forget_samples, describe_left_out
from nhle_onnx.workflows.stability import TRIED, is_alone, steady
from nhle_onnx.workflows.tuning_data import TuningData, gather_tuning_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that was found and decided; `counted` are the correct answers of the given model,
    as ONNX Runtime's `provider` computes them.

    `tuned` are the digests of tuning images, which do not count in evaluation.
    """

    settings: UnlearnSettings
    classifier: Classifier
    request: ForgetRequest
    names: tuple[str, ...]
    tuning: TuningData
    evaluation: Evaluation
    samples: SampleSummary
    provider: str
    counted: ClassCounts
    tuned: frozenset[int] = frozenset()
    before_by_other_kernels: Accuracy | None = None
    mask_notes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def dropped(self) -> tuple[int, ...]:
        """The classes that the edited model has no outputs for."""
        options = self.settings.options
        return self.request.forget if options.masks and options.mask == "drop" else ()

    @property
    def before(self) -> Accuracy:
        """The accuracy of the model as given."""
        return compute_accuracy(self.counted, self.request)

    @property
    def judge(self) -> Judge:
        """The judge of the edited model."""
        return Judge(
            request=self.request, limits=self.settings.limits, labels=self.classifier.labels
        )


def plan_unlearning(settings: UnlearnSettings, watch: Stopwatch) -> Plan:
    """Load and check everything, and measure the model as given. Writes nothing."""
    with watch.stage("load", "loading the model"):
        classifier = open_classifier(settings.model, settings.flags)
        require_all_classes(classifier, "unlearn")
        request = parse_request(settings.forget, classifier.labels)
        names, share, mask_notes = _check_model(settings, classifier, request)
    other_heads = tuple(
        f"the output {name} has a head of its own, which was not masked"
        for name in list_other_heads(classifier.model, classifier.head)
    )
    with watch.stage("samples", "reading the samples"):
        tuning, evaluation, samples, notes = gather_tuning_data(settings, classifier, request)
        for path in settings.outputs:  # again, now that the samples are known
            check_writable(path, force=settings.force)
    with watch.stage("measure_before", "measuring the model as given"):
        classifier, steadiness = _steady(
            classifier, tuning, evaluation, trains=settings.options.trains
        )
        session, tuned, counts = _measure(settings, classifier, request, tuning, evaluation, watch)
        predictions = _predict_forget(settings, classifier, tuning, session)
    if not settings.force_unknown:
        known = counts[0] + count_hits(
            predictions, tuning.forget_classes[: len(predictions)], request.num_classes
        )
        require_known(known, classifier, request, evaluation, session)
    return Plan(
        settings=settings,
        classifier=classifier,
        request=request,
        names=names,
        tuning=tuning,
        evaluation=evaluation,
        samples=replace(samples, eval=sum(counts[0].total)),
        provider=session.provider,
        counted=counts[0],
        tuned=tuned,
        before_by_other_kernels=compute_accuracy(counts[1], request) if counts[1:] else None,
        mask_notes=mask_notes,
        notes=(
            *share,
            *other_heads,
            *describe_less(settings.options, resists=can_resist(classifier, tuning)),
            *notes,
            *describe_left_out(len(evaluation.indices) - sum(counts[0].total)),
            *steadiness,
            *describe_suspicion(compute_accuracy(counts[0], request)),
            *describe_forget_samples(tuning.forget, tuning.forget_classes, predictions, request),
        ),
    )


def can_resist(classifier: Classifier, tuning: TuningData) -> bool:
    """Whether training can resist an attacker, who learns one head from samples and anchors."""
    has_anchors = len(tuning.anchors) > 0 or tuning.synthesizes
    return has_anchors and len(classifier.head.all_parts) == 1


def _check_model(
    settings: UnlearnSettings, classifier: Classifier, request: ForgetRequest
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Check all that can be checked without samples. Returns the tensors to train, and notes on
    their share of the weights and on the mask.
    """
    options = settings.options
    check_weights(classifier.model, classifier.head)
    answer_noise(classifier)
    names: tuple[str, ...] = ()
    share: tuple[str, ...] = ()
    if options.trains:
        names = list_trained(classifier, options.scope)
        share = describe_share(classifier.model, classifier.head, names, options.scope)
    mask_notes = check_mask(classifier.model.proto, classifier.head, request, options)
    check_outputs(settings, classifier.model)
    if settings.ort_path:
        # if the model as given cannot be converted, neither can the edited one
        convert_to_ort(make_blank(classifier.model.proto))
    return names, share, mask_notes


def _steady(
    classifier: Classifier, tuning: TuningData, evaluation: Evaluation, *, trains: bool
) -> tuple[Classifier, tuple[str, ...]]:
    """Return the classifier as it can be judged. Raises UnsupportedModelError if it is to be
    trained and images in a batch change each other's answers.
    """
    images = np.concatenate([tuning.forget, tuning.anchors])
    if not len(images):
        images = evaluation.read(range(min(TRIED, len(evaluation.indices))))
    found, notes = steady(classifier, images)
    if trains and is_alone(found, classifier):
        message = (
            f"{classifier.model.path} cannot be trained: images that are computed at once change "
            "each other's answers, as in an export in training mode"
        )
        raise UnsupportedModelError(
            message,
            remedy=hint(
                "Export it in evaluation mode (in PyTorch: model.eval()), or give {method=cwm}, "
                "which masks the head alone."
            ),
        )
    return found, notes


def _measure(
    settings: UnlearnSettings,
    classifier: Classifier,
    request: ForgetRequest,
    tuning: TuningData,
    evaluation: Evaluation,
    watch: Stopwatch,
) -> tuple[Session, frozenset[int], tuple[ClassCounts, ...]]:
    """Return the session, the digests of tuning images, and the counts of the model as given: with
    the kernels that judge, and with the others if they can differ.
    """
    models = [load_classifier(classifier, settings.provider, settings.kernels)]
    if may_saturate(classifier.model.proto):
        models.append(load_classifier(classifier, settings.provider, name_other(settings.kernels)))
    tuned: frozenset[int] = frozenset()
    if settings.options.needs_samples:
        tuned = frozenset(digest_images(tuning.forget) + digest_images(tuning.anchors))
    counts = count_classes(
        models,
        evaluation,
        request,
        settings.options.batch_size,
        watch.report_samples,
        () if evaluation.is_tuning else tuned,
    )
    return models[0].session, tuned, counts


def _predict_forget(
    settings: UnlearnSettings,
    classifier: Classifier,
    tuning: TuningData,
    session: Session,
) -> npt.NDArray[np.int64]:
    """Predict the classes of the samples to forget, [N], with the model as given. Raises
    NotFiniteError where the best score is NaN or infinite.
    """
    if not len(tuning.forget):
        return np.empty(0, np.int64)
    with name_model(classifier.model.path):
        return predict_classes(
            session.run(
                classifier.head.output,
                tuning.forget,
                classifier.image_input,
                settings.options.batch_size,
            )
        )
