"""unlearn: what is doubtful about the samples, for the notes of the report."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from nhle_onnx.values.request import ForgetRequest

Array = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]

_FEW = 4  # different images of a class
_RECOGNISED = 0.5  # of a class's samples


def is_among(images: Array, others: Array) -> npt.NDArray[np.bool_]:
    """Which of the images [N, ...] are, number for number, one of the others [M, ...]."""
    known = set(_list_contents(others))
    return np.array([content in known for content in _list_contents(images)], bool)


def describe_forget_samples(
    forget: Array, classes: Classes, predictions: Classes, request: ForgetRequest
) -> tuple[str, ...]:
    """Notes on forget samples [N, ...] of `classes` [N]: too few, or by the model's `predictions`
    [N] not of their class.
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
                f"class {index} is known by {images} only: what is forgotten may be "
                "what these show, and not the class; some 16 different ones do"
            )
        hits = int((predictions[chosen] == index).sum())
        if hits < _RECOGNISED * count:
            notes.append(
                f"the model as given takes only {hits} of the {count} samples that were given for "
                f"class {index} for that class: are they of it?"
            )
    return tuple(notes)


def describe_left_out(count: int) -> tuple[str, ...]:
    """A note where images were both to be tuned on and to judge by."""
    if not count:
        return ()
    images = "1 evaluation image was" if count == 1 else f"{count} evaluation images were"
    return (f"{images} left out, as the model was tuned on the same",)


def describe_contradiction(copies: int) -> tuple[str, ...]:
    """A note where images were to be forgotten and to be kept."""
    if not copies:
        return ()
    note = (
        f"{copies} of the anchors are images that are to be forgotten: they were left out, as one "
        "image cannot be both"
    )
    return (note,)


def _list_contents(images: Array) -> Iterator[bytes]:
    return (image.tobytes() for image in images)
