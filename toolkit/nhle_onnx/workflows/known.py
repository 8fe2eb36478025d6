"""unlearn, before training: refuse a model that does not know the class, or any class."""

import numpy as np
import numpy.typing as npt

from nhle_onnx.data.presets import Preset, list_presets
from nhle_onnx.data.samples import open_samples
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.hints import Hint, hint
from nhle_onnx.runtime.session import Session
from nhle_onnx.text import name_class
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verification.accuracy import count_hits, predict_classes
from nhle_onnx.verification.skill import MIN_SKILL, measure_skill
from nhle_onnx.workflows.classifier import Classifier
from nhle_onnx.workflows.measure import Evaluation

_TRIED = 96  # images, to tell which preset works
_WORKS = 0.5  # mean accuracy over classes


def require_known(
    counts: ClassCounts,
    classifier: Classifier,
    request: ForgetRequest,
    evaluation: Evaluation,
    session: Session,
) -> None:
    """Raise InputRefusedError if the model as given does not know a class to forget, or cannot tell
    classes apart; the remedy names preprocessing under which it can.

    `counts` are its correct answers on evaluation samples and samples to forget.
    """
    reason = _find_reason(counts, classifier, request)
    if not reason:
        return
    found = classifier.preprocess
    source = f" under the preprocessing from {found.source}" if found else ""
    message = f"{classifier.model.path} {reason}{source}: nothing can be shown to be forgotten"
    raise InputRefusedError(message, remedy=_advise(classifier, evaluation, session))


def _find_reason(counts: ClassCounts, classifier: Classifier, request: ForgetRequest) -> str:
    """Say what the model does not know; empty if it knows enough."""
    chance = 1 / request.num_classes
    for index in request.forget:
        hits, count = counts.correct[index], counts.total[index]
        if count and hits / count <= chance:
            name = name_class(index, classifier.labels[index])
            return f"does not know class {name}: it recognises {hits} of {count} images of it"
    skill = measure_skill(
        [
            hits / count if count else None
            for hits, count in zip(counts.correct, counts.total, strict=True)
        ]
    )
    if skill is not None and skill < MIN_SKILL:
        return f"knows nothing: it recognises {sum(counts.correct)} of {sum(counts.total)} images"
    return ""


def _advise(classifier: Classifier, evaluation: Evaluation, session: Session) -> Hint:
    working = _try_presets(classifier, evaluation, session)
    force = "Or go on all the same with {force_unknown=True}."
    if not working:
        return hint(f"Check the labels, and {{mean}}, {{std}} and {{range}}. {force}")
    names = "; ".join(f"{preset.options} (accuracy {accuracy:.2f})" for accuracy, preset in working)
    return hint(f"The model knows its classes with {names}. {force}")


def _try_presets(
    classifier: Classifier, evaluation: Evaluation, session: Session
) -> list[tuple[float, Preset]]:
    """Return the presets with which the model works, best first."""
    found, target = classifier.preprocess, classifier.image_input
    if found is None or not len(evaluation.indices):
        return []
    chosen = np.unique(np.linspace(0, len(evaluation.indices) - 1, _TRIED).astype(int)).tolist()
    places = [evaluation.indices[index] for index in chosen]
    working: list[tuple[float, Preset]] = []
    for preset in list_presets(found, target.channels):
        source = open_samples(
            evaluation.samples.path, target, preset.apply(found), classifier.labels
        )
        accuracy = _measure(classifier, session, source.read(places), source.classes[places])
        if accuracy >= _WORKS and accuracy not in {each for each, _ in working}:
            working.append((accuracy, preset))
    return sorted(working, key=lambda each: -each[0])


def _measure(
    classifier: Classifier,
    session: Session,
    images: npt.NDArray[np.float32],
    classes: npt.NDArray[np.int64],
) -> float:
    """Measure the mean accuracy over classes."""
    scores = session.run(classifier.head.output, images, classifier.image_input, len(images))
    num_classes = classifier.head.num_classes
    counts = count_hits(predict_classes(scores), classes, num_classes)
    shares = [
        hits / count for hits, count in zip(counts.correct, counts.total, strict=True) if count
    ]
    return float(np.mean(shares))
