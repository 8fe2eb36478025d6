"""unlearn: notes for the report on doubtful samples."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nhle_onnx.hints import hint
from nhle_onnx.values.request import ForgetRequest

Array = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]

_FEW = 4  # different images of a class
_RECOGNISED = 0.5  # of a class's samples
_SHOWN = 5
_ALIKE = 0.2  # variety; 16 images drawn at random of a class have 0.25 to 0.75


def is_among(images: Array, others: Array) -> npt.NDArray[np.bool_]:
    """Mark images [N, ...] that equal one of the others [M, ...] in every number."""
    known = set(_list_contents(others))
    return np.array([content in known for content in _list_contents(images)], bool)


def describe_forget_samples(
    forget: Array, classes: Classes, predictions: Classes, request: ForgetRequest
) -> tuple[str, ...]:
    """Note forget samples [N, ...] of `classes` [N] that are too few, or perhaps mislabelled.
    `predictions` [N] are the model's.
    """
    notes = []
    for index in request.forget:
        chosen = classes == index
        count = int(chosen.sum())
        if not count:
            continue
        different = len(set(_list_contents(forget[chosen])))
        if different < _FEW:
            images = "1 image" if different == 1 else f"{different} different images"
            notes.append(
                f"class {index} is shown by {images} only: the model may forget what these show "
                "instead of the class; about 16 different images are enough"
            )
        hits = int((predictions[chosen] == index).sum())
        if hits < _RECOGNISED * count:
            notes.append(
                f"the given model recognises only {hits} of the {count} samples of class {index}: "
                "are they of that class?"
            )
    return tuple(notes)


def describe_duplicates(variety: Mapping[int, float]) -> tuple[str, ...]:
    """Note classes whose forget samples are nearly the same image, by the variety of each."""
    return tuple(
        f"most samples of class {index} are nearly the same as another (variety {value:.2f}): the "
        "model may forget what these show instead of the class; give images that differ"
        for index, value in variety.items()
        if value < _ALIKE
    )


def describe_unshown(classes: Classes, request: ForgetRequest) -> tuple[str, ...]:
    """Note retained classes that have no anchor, by the classes of anchors [M]."""
    unshown = sorted({*request.retained} - set(classes.tolist()))
    if not unshown or not len(classes):
        return ()
    note = hint(
        "no anchor shows {count} of the {all} retained classes ({names}): training hardly sees "
        "what these lose; add images of them to {samples}",
        count=len(unshown),
        all=len(request.retained),
        names=_list_some(unshown),
    )
    return (note,)


def _list_some(classes: Sequence[int]) -> str:
    return ", ".join(map(str, classes[:_SHOWN])) + ", …" * (len(classes) > _SHOWN)


def describe_left_out(count: int) -> tuple[str, ...]:
    """Note images that were given both for tuning and for evaluation."""
    if not count:
        return ()
    images = "1 evaluation image was" if count == 1 else f"{count} evaluation images were"
    return (f"{images} left out, as the model was tuned on the same",)


def describe_contradiction(copies: int) -> tuple[str, ...]:
    """Note images that were given both to be forgotten and as anchors."""
    if not copies:
        return ()
    note = (
        f"{copies} of the anchors are also among the images to forget: they were left out of the "
        "anchors"
    )
    return (note,)


def _list_contents(images: Array) -> Iterator[bytes]:
    return (image.tobytes() for image in images)
