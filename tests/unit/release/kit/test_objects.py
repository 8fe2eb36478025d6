"""A detector's kit as a value: three programs read tensors alike, and nothing can be changed."""

import dataclasses
import importlib.util
import json
import re
import shutil
import subprocess
from importlib.resources import as_file, files
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nhle_onnx.detection.reading import list_detections, read_answers
from nhle_onnx.release.kit.results import (
    judge_figures,
    measure_answers,
    parse_kit,
    parse_result,
)
from nhle_onnx.release.kit.vendored import read_runner
from nhle_onnx.release.report import render_json
from nhle_onnx.values.boxes import make_boxes
from nhle_onnx.values.detector import Activation, BoxForm, BoxTensor, Detector, ScoreTensor
from nhle_onnx.values.kit import Answer, Kit, KitObjects
from nhle_onnx.values.report import Accuracy
from nhle_onnx.verification.gates.objects import KNOWN
from nhle_onnx.workflows.detection.measure import find_detected
from support.kits import make_kit, write_result

ANCHORS, CLASSES, SIDES = 60, 3, 4
PLACES = (0, 0, 0, 1, 1, 2)
OWN = (0, 1, 1, 2, 1, 0)
EXPECTED: tuple[Answer, ...] = (0, None, None, 2, None, 0)
BEFORE = Accuracy(acc_f=1.0, acc_r=1.0, per_class=(1.0, 1.0, 1.0))


def make_objects(**changes: Any) -> KitObjects:  # noqa: ANN401 - fields of any type
    objects = KitObjects(
        boxes=BoxTensor(name="b", axis=2, form="corners", is_relative=False),
        scores=ScoreTensor(name="y", axis=2, columns=(0, 1, 2)),
        appended="", places=PLACES, corners=((0.0, 0.0, 2.0, 2.0),) * 6,
        least_score=0.05, least_overlap=0.5, suppression=0.6, most=300,
    )  # fmt: skip
    return dataclasses.replace(objects, **changes)


def make_object_kit(**changes: Any) -> Kit:  # noqa: ANN401 - fields of any type
    fields = {"classes": OWN, "expected": EXPECTED, "objects": make_objects()} | changes
    kit = make_kit(before=BEFORE, **fields)
    after = measure_answers(kit, kit.expected).after
    return dataclasses.replace(kit, host=dataclasses.replace(kit.host, after=after))


def test_a_result_about_objects_reads_back() -> None:
    kit = make_object_kit()
    result, found = parse_result(json.dumps(write_result(kit)).encode())
    assert found == kit
    assert (found.task, found.samples, result.samples) == ("detector", 3, 3)
    assert result.predictions == EXPECTED
    assert [(row.total, row.correct) for row in result.per_class] == [(2, 2), (3, 0), (1, 1)]
    figures = measure_answers(kit, EXPECTED)
    checks, _ = judge_figures(kit, figures, kit.limits)
    assert [(each.name, each.value, each.verdict) for each in checks] == [
        ("after.detected", 0.0, "not-judged"), ("delta_detected_r", 0.0, "not-judged"),
        ("before.detected", 1.0, "passed"), ("agreement", 1.0, "passed"),
    ]  # fmt: skip
    assert checks[2].limit == KNOWN


@pytest.mark.parametrize(
    ("before", "own", "gaps"),
    [
        (BEFORE, (0, 0, 2, 2, 0, 0), ("no image with boxes shows the class",) * 2),
        (None, OWN, ("3 objects cannot rule out", "without baseline=")),
        (BEFORE, (1,) * 6, ("6 objects cannot rule out", "")),
    ],
)
def test_what_no_image_shows_is_not_judged(
    before: Accuracy | None, own: tuple[int, ...], gaps: tuple[str, str]
) -> None:
    kit = make_object_kit(classes=own, expected=(None,) * 6)
    kit = dataclasses.replace(kit, host=dataclasses.replace(kit.host, before=before))
    left, others, known, _ = judge_figures(kit, measure_answers(kit, (None,) * 6), kit.limits)[0]
    assert left.verdict == "not-judged"
    assert left.gap.startswith(gaps[0])
    assert known.gap.startswith(gaps[1])
    assert others.verdict == ("failed" if own[0] == 0 and before else "not-judged")


FALSE: dict[str, tuple[tuple[Answer, ...], str]] = {
    "another class": ((1, *EXPECTED[1:]), "its predictions do not fit"),
    "fewer": (EXPECTED[1:], "its predictions do not fit"),
    "found": ((0, 1, *EXPECTED[2:]), "after does not follow"),
    "lost": ((None, *EXPECTED[1:]), "after does not follow"),
}


@pytest.mark.parametrize("name", FALSE)
def test_other_answers_than_the_figures_follow_from(name: str) -> None:
    answers, reason = FALSE[name]
    document = write_result(make_object_kit()) | {"predictions": answers}
    with pytest.raises(ValueError, match=f"^{reason}"):
        parse_result(json.dumps(document).encode())


def test_a_classifier_answers_every_image() -> None:
    kit = make_kit()
    document = json.loads(render_json(kit))
    document["expected"][0] = None
    with pytest.raises(ValueError, match=r"^its kit\.json has classes outside the model's"):
        parse_kit(json.dumps(document))


CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "image without an object": {"places": (0, 0, 0, 2, 2, 2)},
    "order": {"places": (1, 0, 0, 1, 1, 2)},
    "first": {"places": (1, 1, 1, 2, 2, 3)},
    "no object": {"places": ()},
    "fewer boxes": {"corners": ((0.0, 0.0, 1.0, 1.0),)},
    "axis of images": {"boxes": BoxTensor(name="b", axis=0, form="corners", is_relative=False)},
    "another class": {"scores": ScoreTensor(name="y", axis=2, columns=(0, 1))},
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_objects_that_contradict_their_kit(name: str) -> None:
    kit = make_object_kit(objects=make_objects(**CONTRADICTIONS[name]))
    with pytest.raises(ValueError, match=re.escape("its kit.json contradicts itself")):
        parse_kit(render_json(kit))


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    """verify.py, as a device imports it."""
    with as_file(files("nhle_onnx.release.kit") / "runners" / "verify.py") as path:
        spec = importlib.util.spec_from_file_location("kit_runner", path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


LAYOUTS: list[tuple[int, BoxForm, Activation, int | None, int | None]] = [
    (1, "centre", "none", None, None),
    (2, "corners", "sigmoid", None, None),
    (2, "corners-yx", "softmax", 0, None),
    (1, "corners", "softmax", None, None),
    (2, "centre", "none", None, 0),
]
MOST = 30  # so few that some are left out
NODE = """
const cases = JSON.parse(require("node:fs").readFileSync(0, "utf-8"));
const answer = ({ kit, tensors }) => PLACES.flatMap((place) => {
  const read = ([numbers, dims]) => (
    { type: "float32", dims: [1, ...dims], data: Float32Array.from(numbers[place]) }
  );
  return findObjects(kit, place, { b: read(tensors.b), y: read(tensors.y) }, 1);
});
console.log(JSON.stringify(cases.map(answer)));
"""


def make_tensors(seed: int) -> tuple[Kit, dict[str, npt.NDArray[np.float32]]]:
    """A kit of one layout, with tensors of three images that detect some of their objects."""
    axis, form, activation, background, objectness = LAYOUTS[seed]
    rng = np.random.default_rng(seed)
    sides = rng.uniform(0, 20, (3, ANCHORS, SIDES))
    sides[..., 2:] += 5 if form == "centre" else sides[..., :2]
    scores = rng.uniform(0, 0.5, (3, ANCHORS, CLASSES + 1))
    scores = scores if activation == "none" else rng.normal(-2, 2, scores.shape)
    objects = make_objects(
        boxes=BoxTensor(name="b", axis=axis, form=form, is_relative=False),
        scores=ScoreTensor(
            name="y", axis=axis, columns=(1, 2, 3), background=background, objectness=objectness,
            activation=activation,
        ),
        corners=tuple((x, y, x + 12.0, y + 12.0) for x, y in rng.uniform(0, 15, (6, 2)).tolist()),
        most=MOST,
    )  # fmt: skip
    turned = [each.swapaxes(1, 2) if axis == 1 else each for each in (sides, scores)]
    boxes, numbers = (np.ascontiguousarray(each, np.float32) for each in turned)
    return make_object_kit(objects=objects), {"b": boxes, "y": numbers}


def make_crowd() -> tuple[Kit, dict[str, npt.NDArray[np.float32]]]:
    """All objects lie under the worse of two boxes, which the better one removes."""
    boxes = [[4, 0, 14, 10], [3, 0, 13, 10]]
    objects = make_objects(corners=((0.0, 0.0, 10.0, 10.0),) * 6)
    tensors = {"b": [boxes] * 3, "y": [[[0.9] * 3, [0.8] * 3]] * 3}
    arrays = {name: np.array(each, np.float32) for name, each in tensors.items()}
    return make_object_kit(objects=objects), arrays


def answer_here(kit: Kit, tensors: dict[str, npt.NDArray[np.float32]]) -> list[Answer]:
    """As the host does."""
    assert kit.objects
    detector = Detector(
        layers=(), scores=kit.objects.scores, boxes=kit.objects.boxes, num_classes=CLASSES,
        competes=False, suppresses=False,
    )  # fmt: skip
    found = list_detections(read_answers(detector, tensors["b"], tensors["y"], (1, 1)))
    corners, places = np.array(kit.objects.corners), np.array(kit.objects.places)
    own = np.array(kit.classes)
    answers: list[Answer] = []
    for place, ours in enumerate(found):
        given = make_boxes(corners[places == place], own[places == place])
        rows = zip(find_detected(ours, given), given.classes.tolist(), strict=True)
        answers += [index if is_found else None for is_found, index in rows]
    return answers


def test_every_layout_is_read_alike(runner: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the host, by verify.py, and by what the page and Node share."""
    monkeypatch.setattr("nhle_onnx.detection.reading.MOST", MOST)
    cases = [*map(make_tensors, range(len(LAYOUTS))), make_crowd()]
    expected = [answer_here(*case) for case in cases]
    assert {each is None for each in expected[0]} == {True, False}
    assert {*expected[-1]} == {None}
    documents = [json.loads(render_json(kit)) for kit, _ in cases]
    for document, (_, tensors), answers in zip(documents, cases, expected, strict=True):
        found = [
            each
            for place in range(3)
            for each in runner.answer(
                document, place, {name: given[place] for name, given in tensors.items()}
            )
        ]
        assert found == answers
    if node := shutil.which("node"):
        given = [
            {
                "kit": document,
                "tensors": {
                    name: (each.reshape(3, -1).tolist(), each.shape[1:])
                    for name, each in tensors.items()
                },
            }
            for document, (_, tensors) in zip(documents, cases, strict=True)
        ]
        program = read_runner("judge.js") + NODE.replace("PLACES", "[0, 1, 2]")
        done = subprocess.run(
            [node, "-e", program], input=json.dumps(given), capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert json.loads(done.stdout) == expected


@pytest.mark.parametrize("name", ["b", "y"])
def test_numbers_that_answer_nothing_are_refused(runner: ModuleType, name: str) -> None:
    """They would count as forgotten."""
    kit, tensors = make_tensors(1)
    tensors[name][0] = np.nan
    rows = {key: given[0] for key, given in tensors.items()}
    with pytest.raises(runner.Refusal, match="of image 0 is not finite here"):
        runner.answer(json.loads(render_json(kit)), 0, rows)
