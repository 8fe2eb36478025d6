"""What can be known of a classifier without samples: `unlearn` checks it, `inspect` tells it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.subgraph import with_output
from nhle_onnx.hints import hint
from nhle_onnx.lowering.weights import check_operators
from nhle_onnx.runtime.noise import make_noise
from nhle_onnx.runtime.session import open_session
from nhle_onnx.unlearning.scope import select_tensors
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest, Scope
from nhle_onnx.workflows.classifier import Classifier
from nhle_onnx.workflows.masking import check_mask

TRIED = 2  # images


def answer_noise(classifier: Classifier) -> npt.NDArray[np.float32]:
    """Run the model on noise, and return its scores. Raises UnsupportedModelError where it does not
    give one score for each class, and InputRefusedError where ONNX Runtime cannot run it.
    """
    target, head = classifier.image_input, classifier.head
    session = open_session(with_output(classifier.model.proto, head.output), "cpu")
    answers = session.run(head.output, make_noise(target, target.batch or TRIED), target, TRIED)
    shape = answers.shape[1:]
    if [extent for extent in shape if extent > 1] != [head.num_classes]:
        message = (
            f"{classifier.model.path}: the output {head.output} gives {_show(shape)} numbers for "
            f"an image, where one score for each of {head.num_classes} classes is needed"
        )
        raise UnsupportedModelError(
            message, remedy="A class for each position, as in text recognition, is not supported."
        )
    return answers


def _show(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "no"


def check_masks(classifier: Classifier) -> None:
    """Mask the first class, and the last. Raises UnsupportedModelError if neither can be masked,
    as one may lose ties that the other wins.
    """
    last = classifier.head.num_classes - 1
    try:
        _check_mask(classifier, last)
    except UnsupportedModelError:
        _check_mask(classifier, 0)


def _check_mask(classifier: Classifier, index: int) -> None:
    request = ForgetRequest(forget=(index,), num_classes=classifier.head.num_classes)
    check_mask(classifier.model.proto, classifier.head, request, UnlearnOptions())


def list_trained(classifier: Classifier, scope: Scope) -> tuple[str, ...]:
    """List the tensors that training may change. Raises UnsupportedModelError where there is none,
    or where an operator before the scores cannot be trained.
    """
    check_operators(classifier.model, classifier.head.scores)
    names = select_tensors(classifier.model, classifier.head, scope)
    if not names:
        message = f"{classifier.model.path} has no weights in the scope {scope} to train"
        raise UnsupportedModelError(
            message, remedy=hint("Use {method=cwm}, which edits the head alone, or {scope=all}.")
        )
    return names
