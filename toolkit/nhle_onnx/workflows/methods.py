"""Which methods a classifier can be given, and what stands in the way of the others."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.graph.exporters import find_remedy
from nhle_onnx.lowering.weights import (
    describe_operators,
    list_unsupported,
    list_unsupported_tensors,
    list_weights,
    name_operators,
)
from nhle_onnx.runtime.noise import make_noise
from nhle_onnx.values.model import ClassifierHead, OnnxModel
from nhle_onnx.verification.accuracy import predict_classes
from nhle_onnx.verification.finite import name_model
from nhle_onnx.workflows.classifier import Classifier
from nhle_onnx.workflows.feasibility import TRIED, answer_noise, check_masks, list_trained

Found = TypeVar("Found")


def attempt(find: Callable[[], Found], reasons: list[str]) -> Found | None:
    """Return what is found; where an error is raised, add its reason instead."""
    try:
        return find()
    except NhleOnnxError as error:
        reasons.append(error.reason)
        return None


class Training(NamedTuple):
    """The tensors that can be trained, unsupported operators, and why training is impossible."""

    tensors: tuple[str, ...]
    unsupported: tuple[str, ...]
    reasons: tuple[str, ...]


def examine_training(model: OnnxModel, head: ClassifierHead | None) -> Training:
    """List what training would change of a model, up to the scores of its head if it has one."""
    last = head.scores if head else model.proto.graph.output[0].name
    unsupported = list_unsupported(model.proto, model.opset, last)
    reasons = []
    if unsupported:
        remedy = find_remedy(unsupported, "")
        reasons.append(". ".join(filter(None, (describe_operators(unsupported), remedy))))
    reasons += [
        f"the tensor {name} is {kind}, which cannot be trained"
        for name, kind in list_unsupported_tensors(model.proto)
    ]
    return Training(
        tensors=list_weights(model.proto, model.opset, last, model.constants),
        unsupported=name_operators(unsupported),
        reasons=tuple(reasons),
    )


def promise_methods(
    classifier: Classifier | None, reasons: list[str], *, is_lowerable: bool
) -> dict[str, bool]:
    """Try what each method does before it trains, and add what stands in its way."""
    if classifier is None or not succeeds(lambda: _check_answers(classifier), reasons):
        return dict.fromkeys(("nhle-cwm", "nhle", "cwm"), False)
    can_mask = succeeds(lambda: check_masks(classifier), reasons)
    can_train = (
        is_lowerable
        and succeeds(lambda: list_trained(classifier, "features"), reasons)
        and succeeds(lambda: _check_lowering(classifier), reasons)
    )
    return {"nhle-cwm": can_mask and can_train, "nhle": can_train, "cwm": can_mask}


def _check_answers(classifier: Classifier) -> None:
    """Run the model on noise. Raises UnsupportedModelError or InputRefusedError where it gives no
    answer.
    """
    with name_model(classifier.model.path):
        predict_classes(answer_noise(classifier))


def _check_lowering(classifier: Classifier) -> None:
    """Lower the model to torch, and compare the two on noise. Raises UnsupportedModelError where
    that fails or they differ.
    """
    # torch takes seconds to import: only for a model that nothing else rules out
    from nhle_onnx.workflows.training import lower_and_compare  # noqa: PLC0415

    noise = make_noise(classifier.image_input, classifier.image_input.batch or TRIED)
    lower_and_compare(classifier, noise, TRIED)


def succeeds(check: Callable[[], object], reasons: list[str]) -> bool:
    """Whether a check raises no error; the reason of one is added."""
    before = len(reasons)
    attempt(check, reasons)
    return len(reasons) == before
