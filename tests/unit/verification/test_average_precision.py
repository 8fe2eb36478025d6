"""Average precision: COCO's own program is the reference."""

import contextlib
import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nhle_onnx.detection.overlap import suppress
from nhle_onnx.values.boxes import Boxes, make_boxes
from nhle_onnx.verification.average_precision import measure_precision

CLASSES = 3


def draw(generator: np.random.Generator, count: int, *, scored: bool) -> Boxes:
    start = generator.uniform(0, 60, (count, 2))
    corners = np.concatenate([start, start + generator.uniform(8, 40, (count, 2))], 1)
    scores = np.round(generator.uniform(0, 1, count), 1) if scored else None  # with ties
    return make_boxes(corners, generator.integers(0, CLASSES, count), scores)


def draw_scenes(seed: int) -> tuple[list[Boxes], list[Boxes]]:
    generator = np.random.default_rng(seed)
    truth = [draw(generator, int(generator.integers(0, 5)), scored=False) for _ in range(12)]
    found = []
    for given in truth:
        near = given.corners + generator.normal(0, 1.5, given.corners.shape).astype(np.float32)
        others = draw(generator, 6, scored=True)
        found.append(
            Boxes(
                np.concatenate([near, others.corners]),
                np.concatenate([given.classes, others.classes]),
                np.concatenate(
                    [generator.uniform(0, 1, len(near)).astype(np.float32), others.scores]
                ),
            )
        )
    return found, truth


def measure_by_coco(found: list[Boxes], truth: list[Boxes], index: int) -> npt.NDArray[np.float64]:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")

    def list_rows(scenes: list[Boxes]) -> list[dict[str, Any]]:
        return [
            {
                "id": 0,
                "image_id": image,
                "category_id": int(category),
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
                "score": float(score),
            }
            for image, boxes in enumerate(scenes)
            for (left, top, right, bottom), category, score in zip(
                boxes.corners.astype(float).tolist(), boxes.classes, boxes.scores, strict=True
            )
        ]

    with contextlib.redirect_stdout(io.StringIO()):
        given = coco.COCO()
        given.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(len(truth))],
            "categories": [{"id": category} for category in range(CLASSES)],
            "annotations": [row | {"id": n} for n, row in enumerate(list_rows(truth), 1)],
        }
        given.createIndex()
        judge = cocoeval.COCOeval(given, given.loadRes(list_rows(found)), "bbox")
        judge.params.catIds = [index]
        judge.evaluate()
        judge.accumulate()
    curves: npt.NDArray[np.float64] = judge.eval["precision"][:, :, 0, 0, 2]
    return np.asarray(curves.mean(1))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("index", range(CLASSES))
def test_average_precision_is_that_of_coco(seed: int, index: int) -> None:
    found, truth = draw_scenes(seed)
    measured = measure_precision(found, truth, index)
    assert measured is not None
    np.testing.assert_allclose(measured, measure_by_coco(found, truth, index), atol=1e-9)


def test_a_class_without_a_box_has_no_precision() -> None:
    assert (
        measure_precision([draw(np.random.default_rng(0), 4, scored=True)], [make_boxes([], [])], 0)
        is None
    )


def test_nothing_found_is_no_precision_at_all() -> None:
    truth = [make_boxes([[0, 0, 9, 9]], [0])]
    measured = measure_precision([make_boxes([], [])], truth, 0)
    assert measured is not None
    assert measured.tolist() == [0.0] * 10


def test_perfect_detections_have_a_precision_of_one() -> None:
    truth = [make_boxes([[0, 0, 9, 9], [20, 20, 40, 50]], [0, 0])]
    measured = measure_precision(truth, truth, 0)
    assert measured is not None
    assert measured.tolist() == [1.0] * 10


def test_suppression_keeps_the_best_of_those_that_overlap() -> None:
    boxes = make_boxes(
        [[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60]],
        [0, 0, 1, 0],
        [0.5, 0.9, 0.3, 0.1],
    )
    kept = suppress(boxes, 0.6)
    assert kept.scores.tolist() == pytest.approx([0.9, 0.3, 0.1])
    assert kept.classes.tolist() == [0, 1, 0]


def test_a_box_that_only_overlaps_a_removed_one_stays() -> None:
    boxes = make_boxes([[0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]], [0, 0, 0], [0.9, 0.8, 0.7])
    assert suppress(boxes, 0.5).scores.tolist() == pytest.approx([0.9, 0.7])
