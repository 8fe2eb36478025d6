"""inspect on a detector: its classes and scales, and what can be done with it."""

from nhle_onnx.lowering.weights import list_unsupported, name_operators
from nhle_onnx.runtime.noise import make_noise
from nhle_onnx.workflows.detection.plan import check_model
from nhle_onnx.workflows.detection.subject import Subject
from nhle_onnx.workflows.methods import succeeds

_TRIED = 2  # images


def list_reasons(subject: Subject) -> tuple[dict[str, bool], tuple[str, ...]]:
    """Return which methods a detector can be given, and what stands in the way of the others."""
    reasons: list[str] = []
    can_mask = succeeds(lambda: _check(subject, trains=False), reasons)
    can_train = can_mask and succeeds(lambda: _check(subject, trains=True), reasons)
    return {
        "nhle-cwm": can_train,
        "nhle": can_train,
        "cwm": can_mask,
        "images": subject.preprocess is not None,
    }, tuple(reasons)


def list_operators(subject: Subject) -> tuple[str, ...]:
    """List the operators before boxes and scores that cannot be trained."""
    model, detector = subject.model, subject.detector
    names = (detector.boxes.name, detector.scores.name)
    found = [node for name in names for node in list_unsupported(model.proto, model.opset, name)]
    return name_operators(found)


def _check(subject: Subject, *, trains: bool) -> None:
    """Do on noise all that is done before training."""
    check_model(subject, trains=trains)
    if trains:
        _check_lowering(subject)


def _check_lowering(subject: Subject) -> None:
    # torch takes seconds to import: only for a detector that nothing else rules out
    from nhle_onnx.workflows.detection.training import lower_detector  # noqa: PLC0415

    lower_detector(subject, make_noise(subject.image_input, subject.image_input.batch or _TRIED))
