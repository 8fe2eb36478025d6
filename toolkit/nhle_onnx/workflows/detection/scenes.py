"""Scenes for a page: small pictures, with the boxes before and after forgetting."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nhle_onnx.data.boxes.scenes import SceneSource
from nhle_onnx.detection.reading import list_detections
from nhle_onnx.values.boxes import Boxes, make_boxes
from nhle_onnx.values.detection import ShownBox, ShownScene
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.workflows.detection.measure import SHOWN_SCORE, Reader, count_detected, detect
from nhle_onnx.workflows.detection.subject import Subject
from nhle_onnx.workflows.outcomes import draw_images

_EDGE = 256  # pixels of a picture
_MOST = 500  # images that are looked at
_SURE = 0.3  # least score of a box of another class that is drawn: there are many below
_NOTHING = make_boxes([], [])


def collect_scenes(
    readers: Mapping[Role, Reader],
    source: SceneSource,
    request: ForgetRequest,
    shown: int,
) -> tuple[ShownScene, ...]:
    """Choose images that show a forgotten class, and detect in them with each model.

    Those where the edited model still detects it come first.
    """
    places = [
        place
        for place, boxes in enumerate(source.boxes)
        if boxes is not None and np.isin(boxes.classes, request.forget).any()
    ][:_MOST]
    if not places or not shown:
        return ()
    subject, chosen = readers["edited"].subject, source.choose(places)
    found = _detect(readers, chosen)
    order = _put_detected_first(found["edited"], chosen, request)[:shown]
    few = chosen.choose(order)
    pictures = draw_images(few.read(), subject.image_input, subject.preprocess, _EDGE)
    return tuple(
        ShownScene(
            index=places[place],
            true=_list(few.boxes[row] or _NOTHING, subject, request),
            detected={role: _list(boxes[place], subject, request) for role, boxes in found.items()},
            picture=pictures[row],
        )
        for row, place in enumerate(order)
    )


def _detect(readers: Mapping[Role, Reader], source: SceneSource) -> dict[Role, list[Boxes]]:
    answers = detect([*readers.values()], source, lambda _done, _total: None)
    return {
        role: [boxes for piece in pieces for boxes in list_detections(piece)]
        for role, pieces in zip(readers, answers, strict=True)
    }


def _put_detected_first(
    found: Sequence[Boxes], source: SceneSource, request: ForgetRequest
) -> list[int]:
    counts = [
        count_detected([ours], [given or _NOTHING], request)[1]
        for ours, given in zip(found, source.boxes, strict=True)
    ]
    return [int(place) for place in np.argsort([not count for count in counts], kind="stable")]


def _list(boxes: Boxes, subject: Subject, request: ForgetRequest) -> tuple[ShownBox, ...]:
    """List the boxes that a person would see, in fractions of the image's edges."""
    is_forgotten = np.isin(boxes.classes, request.forget)
    least = np.where(is_forgotten, SHOWN_SCORE, _SURE)
    seen = boxes.choose(boxes.scores >= least)
    corners = seen.corners / np.array([*subject.extents[::-1]] * 2, np.float32)
    return tuple(map(_make_box, np.clip(corners, 0, 1), seen.classes, seen.scores))


def _make_box(corners: npt.NDArray[np.float32], index: int, score: float) -> ShownBox:
    left, top, right, bottom = (round(float(edge), 4) for edge in corners)
    return ShownBox(
        corners=(left, top, right, bottom), index=int(index), score=round(float(score), 4)
    )
