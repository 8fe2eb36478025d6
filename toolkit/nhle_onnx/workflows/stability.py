"""Whether a model gives an image the same answer each time, whatever else is computed with it.

A device computes one image at a time. An export in training mode takes the statistics of a batch,
a Softmax over the wrong axis compares images, a random operator answers by chance.
"""

import numpy as np
import numpy.typing as npt

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.subgraph import with_output
from nhle_onnx.runtime.session import Session, open_session
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.workflows.classifier import Classifier, run_alone

TRIED = 8  # images
_TOLERATED = 0.02  # of the spread of the scores: sums in another order change far less
_HUGE = 1e30  # beyond it scores are a mask, not an answer
_AS_ONE = (
    "images that are computed at once change each other's answers, so each was measured by itself, "
    "as a device computes it; the model may have been exported in training mode"
)
_REMEDY = (
    "Export it in evaluation mode (in PyTorch: model.eval()), so that nothing is random and no "
    "layer takes the statistics of a batch."
)


def steady(
    classifier: Classifier, images: npt.NDArray[np.float32]
) -> tuple[Classifier, tuple[str, ...]]:
    """Return the classifier as it must be run to be judged, with a note if that is one by one.

    Runs a few images [N, ...] at once, again, and each by itself. Raises UnsupportedModelError if
    the same images get other answers each time, or if images change each other's answers and the
    graph fixes the batch size.
    """
    images = images[:TRIED]
    if not len(images):
        return classifier, ()
    proto, target = classifier.model.proto, classifier.image_input
    session = open_session(with_output(proto, classifier.head.output), "cpu")
    first, again = (_run(session, classifier, images, target) for _ in range(2))
    if _differs(first, again):
        message = (
            f"{classifier.model.path} gives different answers each time that it is given the same "
            "images: something in it is random"
        )
        raise UnsupportedModelError(message, remedy=_REMEDY)
    if not _differs(first, _run_alone(session, classifier, images, target)):
        return classifier, ()
    if target.batch is not None:
        message = (
            f"{classifier.model.path} takes {target.batch} images at once, and each changes the "
            "answers to the others: no answer belongs to one image alone"
        )
        raise UnsupportedModelError(message, remedy=_REMEDY)
    return run_alone(classifier), (_AS_ONE,)


def is_alone(classifier: Classifier, other: Classifier) -> bool:
    """Whether only one of two classifiers must be run image by image."""
    return classifier.image_input.batch != other.image_input.batch


def _run(
    session: Session, classifier: Classifier, images: npt.NDArray[np.float32], target: ImageInput
) -> npt.NDArray[np.float32]:
    return session.run(classifier.head.output, images, target, len(images))


def _run_alone(
    session: Session, classifier: Classifier, images: npt.NDArray[np.float32], target: ImageInput
) -> npt.NDArray[np.float32]:
    """Run each image by itself; if the graph fixes the batch size, in a batch of copies of it."""
    if target.batch is None:
        return session.run(classifier.head.output, images, target, 1)
    repeated = np.repeat(images, target.batch, axis=0)
    return _run(session, classifier, repeated, target)[:: target.batch]


def _differs(these: npt.NDArray[np.float32], those: npt.NDArray[np.float32]) -> bool:
    """Whether answers [N, ...] differ by more than rounding; NaN is judged elsewhere."""
    is_answer = np.isfinite(these) & np.isfinite(those) & (np.abs(these) < _HUGE)
    if not is_answer.any():
        return False
    left, right = these[is_answer].astype(np.float64), those[is_answer].astype(np.float64)
    return bool(
        np.abs(left - right).max() > _TOLERATED * max(left.std(), np.finfo(np.float32).tiny)
    )
