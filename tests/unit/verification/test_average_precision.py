"""Average precision: COCO's own program is the reference."""

import contextlib
import io
from collections.abc import Sequence
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


def measure(found: Sequence[Boxes], *truth: Boxes) -> list[float]:
    measured = measure_precision(found, truth, 0)
    assert measured is not None
    return measured.tolist()


@pytest.mark.parametrize(
    ("height", "levels"), [(4.9, 0), (5, 1), (5.2, 1), (5.6, 2), (7.5, 6), (9.4, 9), (10, 10)]
)
def test_a_detection_is_right_up_to_the_overlap_that_it_has(height: float, levels: int) -> None:
    truth = make_boxes([[0, 0, 10, 10]], [0])
    found = make_boxes([[0, 0, 10, height]], [0], [0.9])
    assert measure([found], truth) == [1.0] * levels + [0.0] * (10 - levels)


def test_precision_at_a_recall_is_the_best_from_there_on() -> None:
    """By hand: right, wrong and right for two boxes, so 1 up to half of them, and 2/3 beyond."""
    truth = make_boxes([[0, 0, 10, 10], [20, 20, 30, 30]], [0, 0])
    found = make_boxes(
        [[20, 20, 30, 30], [50, 50, 60, 60], [0, 0, 10, 10]], [0, 0, 0], [0.5, 0.7, 0.9]
    )
    assert measure([found], truth) == pytest.approx([(51 + 50 * 2 / 3) / 101] * 10)


@pytest.mark.parametrize(("order", "expected"), [((0, 1), 51 / 101), ((1, 0), 1.0)])
def test_of_boxes_that_overlap_as_much_the_last_is_taken(
    order: tuple[int, int], expected: float
) -> None:
    """The other detection overlaps one of both boxes alone, and may find it taken."""
    corners = np.float32([[0, 2, 10, 12], [2, 0, 12, 10]])
    truth = make_boxes(corners[[*order]], [0, 0])
    found = make_boxes([[0, 0, 10, 10], [3, 0, 13, 10]], [0, 0], [0.9, 0.8])
    assert measure([found], truth)[:4] == pytest.approx([expected] * 4)
    assert measure([found], truth)[4:7] == pytest.approx([51 / 101 / 2] * 3)


def test_detections_of_all_images_are_ranked_together_and_other_classes_do_not_count() -> None:
    truth = make_boxes([[0, 0, 10, 10]], [0]), make_boxes([[0, 0, 10, 10]], [1])
    found = (
        make_boxes([[0, 0, 10, 10], [40, 40, 50, 50]], [0, 1], [0.5, 0.99]),
        make_boxes([[0, 0, 10, 10]], [0], [0.6]),
    )
    assert measure(found, *truth) == [0.5] * 10
    assert measure(found[:1], truth[0]) == [1.0] * 10


@pytest.mark.parametrize(("wrong", "expected"), [(99, 0.01), (100, 0.0)])
def test_a_hundred_detections_of_an_image_count(wrong: int, expected: float) -> None:
    truth = make_boxes([[0, 0, 10, 10]], [0])
    corners = [[0, 0, 10, 10], *([[50, 50, 60, 60]] * wrong)]
    found = make_boxes(corners, [0] * (wrong + 1), [0.1, *([0.9] * wrong)])
    assert measure([found], truth) == pytest.approx([expected] * 10)


def test_each_image_has_its_detections() -> None:
    with pytest.raises(ValueError, match="zip"):
        measure_precision([make_boxes([], [])], [make_boxes([[0, 0, 9, 9]], [0])] * 2, 0)


@pytest.mark.parametrize("is_one_image", [True, False])
def test_of_equal_scores_the_first_comes_first(*, is_one_image: bool) -> None:
    corners = [[20 * place, 0, 20 * place + 10, 10] for place in range(45)]
    scores = [0.4] * 5 + [0.5] * 40
    truth = [make_boxes(corners[5:25], [0] * 20)]
    found = [make_boxes(corners, [0] * 45, scores)]
    if not is_one_image:
        truth = [make_boxes([], []) for _ in corners]
        truth[5:25] = [make_boxes([each], [0]) for each in corners[5:25]]
        found = [
            make_boxes([each], [0], [score]) for each, score in zip(corners, scores, strict=True)
        ]
    assert measure(found, *truth) == [1.0] * 10
