"""A detector's kit: which objects a device detects, with the file as it is shipped."""

import base64
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, numpy_helper
from PIL import Image

from nhle_onnx.data.boxes.scenes import open_scenes
from nhle_onnx.detection.reading import list_detections
from nhle_onnx.release.kit import page
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.detection.measure import SHOWN_SCORE, open_reader
from nhle_onnx.workflows.detection.subject import open_detector
from support.assertions import assert_refused
from support.detectors import CLASSES, EXTENT, Competing, Decoupled, export, with_suppression
from support.runs import Nhle

HAT = 1
CONFIG = {
    "do_resize": True,
    "size": {"height": EXTENT, "width": EXTENT},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": False,
}


class Case(NamedTuple):
    """A detector, the same without the class's channels, and images with what the first detects."""

    original: Path
    edited: Path
    scenes: Path

    def pack(self, nhle: Nhle, model: Path, folder: Path, *flags: object) -> tuple[int, Path]:
        """Return the exit code of kit, and the kit's folder."""
        archive = folder / "kit.zip"
        command = ("kit", model, "--forget", "hat", "--data", self.scenes, "-o", archive)
        found = nhle(*command, "--baseline", self.original, "--force", *flags)
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder / "kit")
        return found.code, folder / "kit"


@pytest.fixture(autouse=True)
def _without_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a second to pack."""
    monkeypatch.setattr(page, "_MOST_BYTES", 0)


def make_case(folder: Path, *, suppresses: bool) -> Case:
    torch.manual_seed(3)
    network = Competing() if suppresses else Decoupled()
    for head in network.classes:
        torch.nn.init.normal_(head.weight, std=0.5)  # type: ignore[arg-type] # a layer's
        torch.nn.init.zeros_(head.bias)  # type: ignore[arg-type] # a layer's
    outputs = ("boxes", "scores") if suppresses else ("output0",)
    path = export(network, folder / "model.onnx", outputs)
    path = with_suppression(path) if suppresses else path
    path.with_name("preprocessor_config.json").write_text(json.dumps(CONFIG), "utf-8")
    case = Case(path, path.with_name("edited.onnx"), folder / "scenes")
    draw_scenes(case)
    edited = onnx.load(path)
    width = CLASSES + 1 if suppresses else CLASSES
    first = 1 if suppresses else 0
    for tensor in edited.graph.initializer:
        if tensor.name.startswith("classes.") and tensor.name.endswith(".bias"):
            bias = numpy_helper.to_array(tensor).copy()
            bias[first + HAT :: width] = -30
            tensor.CopyFrom(numpy_helper.from_array(bias, tensor.name))
    onnx.save(edited, case.edited)
    return case


def draw_scenes(case: Case) -> None:
    """Noise, of which whatever the original detects is true."""
    case.scenes.mkdir()
    generator = np.random.default_rng(0)
    for place in range(55):
        pixels = generator.integers(0, 255, (EXTENT, EXTENT, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(case.scenes / f"{place:02}.png")
    subject = open_detector(case.original, ModelFlags())
    source = open_scenes(case.scenes, subject.image_input, subject.preprocess, subject.labels)
    answers = open_reader(subject, "cpu", "exact").read(source.read(), 8)
    for place, found in enumerate(list_detections(answers)):
        seen = found.choose(found.scores >= SHOWN_SCORE)
        corners = seen.corners / EXTENT
        centres, sizes = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
        rows = zip(seen.classes.tolist(), np.concatenate([centres, sizes], 1).tolist(), strict=True)
        text = "".join(f"{index} {' '.join(map(str, box))}\n" for index, box in rows)
        (case.scenes / f"{place:02}.txt").write_text(text, "utf-8")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("detector"), suppresses=False)


def run_script(folder: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "verify.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


def test_a_device_shows_that_the_class_is_gone(case: Case, nhle: Nhle, tmp_path: Path) -> None:
    code, folder = case.pack(nhle, case.edited, tmp_path)
    assert code == 0
    kit = read(folder / "kit.json")
    assert (folder / kit["model"]["file"]).read_bytes() == case.edited.read_bytes()
    assert kit["objects"]["appended"] == ""
    done = run_script(folder, tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "PASSED"), done.stderr
    result = tmp_path / "device-result.json"
    found = read(result)
    assert found["predictions"] == kit["expected"]
    assert {(row["label"], row["correct"] > 0) for row in found["per_class"]} == {
        ("cup", True), ("hat", False), ("key", True),
    }  # fmt: skip
    assert found["samples"] == len(list(case.scenes.glob("*.png")))
    judged = nhle("verify", case.edited, "--device-result", result, "--forget", "hat")
    assert judged.code == 0
    assert "of 1 hat may still be detected" in judged.out
    for name in ("after.detected", "delta_detected_r", "before.detected", "agreement"):
        assert name in judged.out
    again = nhle("verify", case.edited, "--forget", "hat", "--data", case.scenes, "--json")
    objects = kit["classes"].count(HAT)
    after = json.loads(again.out)["after"]
    assert (after["objects"], after["detected"]) == (objects, 0)
    assert_refused(nhle("verify", case.original, "--device-result", result), 3, "not the model")

    place = found["predictions"].index(None)
    found["predictions"][place] = HAT
    result.write_text(json.dumps(found), "utf-8")
    forged = nhle("verify", "--device-result", result)
    assert_refused(forged, 3, "after does not follow from its predictions and the kit")


def test_a_device_shows_that_the_class_is_still_there(
    case: Case, nhle: Nhle, tmp_path: Path
) -> None:
    code, folder = case.pack(nhle, case.original, tmp_path)
    assert code == 1
    done = run_script(folder, tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "FAILED")
    judged = nhle("verify", "--device-result", tmp_path / "device-result.json", "--json")
    assert judged.code == 1
    report = json.loads(judged.out)
    assert report["task"] == "detector"
    assert [check["name"] for check in report["checks"] if not check["passed"]] == [
        "after.detected"
    ]
    assert report["after"]["acc_f"] == report["host"]["acc_f"] == 1


def test_boxes_inside_the_graph_are_read_with_the_file_as_it_is(nhle: Nhle, tmp_path: Path) -> None:
    case = make_case(tmp_path, suppresses=True)
    code, folder = case.pack(nhle, case.edited, tmp_path, "--limit", 30)
    assert code in {0, 6}
    kit = read(folder / "kit.json")
    addition = ModelProto.FromString(base64.b64decode(kit["objects"]["appended"]))
    assert [value.name for value in addition.graph.output] == ["boxes", "turned"]
    assert (folder / kit["model"]["file"]).read_bytes() == case.edited.read_bytes()
    assert run_script(folder, tmp_path).returncode == code
    result = tmp_path / "device-result.json"
    found = read(result)
    assert found["samples"] == 30
    assert found["predictions"] == kit["expected"]
    assert {*found["predictions"]} == {None, 0, 2}
    assert nhle("verify", case.edited, "--device-result", result).code == code

    split = tmp_path / "split.onnx"
    model = onnx.load(case.edited)
    onnx.save_model(model, split, save_as_external_data=True, location="w.bin", size_threshold=0)
    refused = nhle("kit", split, "--forget", 1, "--data", case.scenes, "-o", tmp_path / "x.zip")
    assert_refused(refused, 4, "shows no boxes with scores, which a kit compares")


def test_images_without_the_class_prove_nothing(case: Case, nhle: Nhle, tmp_path: Path) -> None:
    for text, reason in (("0 .5 .5 .5 .5\n", "no sample of a forgotten class"), ("", "no sample")):
        Image.new("RGB", (EXTENT, EXTENT)).save(tmp_path / "a.png")
        (tmp_path / "a.txt").write_text(text, "utf-8")
        command = ("kit", case.edited, "--forget", "hat", "--data", tmp_path)
        assert_refused(nhle(*command, "-o", tmp_path / "kit.zip"), 3, reason)
    (tmp_path / "a.txt").unlink()
    assert_refused(nhle(*command, "-o", tmp_path / "kit.zip"), 3, "nothing says which boxes")
    assert not (tmp_path / "kit.zip").exists()
