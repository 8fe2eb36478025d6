"""unlearn, before training: refuse a model that does not know the class, or any class."""

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.hints import Hint, hint
from nhle_onnx.runtime.session import Session
from nhle_onnx.text import name_class
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.summary import AS_FOUND, Trial
from nhle_onnx.verification.skill import MIN_SKILL, measure_skill
from nhle_onnx.workflows.classifier import Classifier
from nhle_onnx.workflows.measure import Evaluation
from nhle_onnx.workflows.trials import try_presets

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
    names = [
        hint("{options} (accuracy {share})", options=trial.options, share=f"{trial.accuracy:.2f}")
        for trial in working
    ]
    listed = Hint("; ".join(names), "; ".join(name.flags for name in names))
    return hint(f"The model knows its classes with {{listed}}. {force}", listed=listed)


def _try_presets(classifier: Classifier, evaluation: Evaluation, session: Session) -> list[Trial]:
    """Return the preprocessing with which the model works, best first."""
    if classifier.preprocess is None or not len(evaluation.indices):
        return []
    tried = try_presets(classifier, evaluation.samples, evaluation.indices, session).tried
    return [trial for trial in tried if trial.accuracy >= _WORKS and trial.options != AS_FOUND]
