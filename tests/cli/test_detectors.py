"""A detector on the command line: what each command does with one."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from PIL import Image

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.release.ort_format import compare_detectors, convert_to_ort
from nhle_onnx.release.viewer.documents import read_documents
from nhle_onnx.release.viewer.pages import list_pages
from nhle_onnx.runtime.noise import make_noise
from nhle_onnx.values.exit_codes import EXIT_CODES
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.detection.subject import name_outputs, open_detector
from support.boms import read_bom
from support.detectors import EXTENT, Decoupled, export
from support.runs import Nhle

CONFIG = {
    "do_resize": True,
    "size": {"height": EXTENT, "width": EXTENT},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": False,
}


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    network = Decoupled()
    for head in network.classes:
        torch.nn.init.normal_(head.weight, std=0.5)  # type: ignore[arg-type] # a layer's
    path = export(network, tmp_path_factory.mktemp("detector") / "model.onnx")
    path.with_name("preprocessor_config.json").write_text(json.dumps(CONFIG), "utf-8")
    return path


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise, of which half has boxes of a hat, and half of a key."""
    folder = tmp_path_factory.mktemp("scenes")
    generator = np.random.default_rng(0)
    for place in range(12):
        pixels = generator.integers(0, 255, (EXTENT, EXTENT, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")
        (folder / f"{place}.txt").write_text(f"{1 + place % 2} .5 .5 .6 .6\n", "utf-8")
    return folder


def test_inspect_says_what_is_detected_where(nhle: Nhle, detector: Path) -> None:
    found = nhle("inspect", detector)
    assert found.code == 0
    assert "3 classes, scales 4x4, 2x2; sigmoid scores in output0" in found.out
    assert "can use nhle-cwm, nhle, cwm" in found.out


def test_a_class_is_forgotten_and_the_graph_stays(
    nhle: Nhle, detector: Path, scenes: Path, tmp_path: Path
) -> None:
    edited = tmp_path / "edited.onnx"
    found = nhle(
        *("unlearn", detector, "--forget", "hat", "--samples", scenes, "--data", scenes),
        *("--out", edited, "--steps", 3, "--force-unknown", "--json"),
    )
    report = json.loads(found.out)
    assert found.code in {0, 1, 6}
    assert report["schema"] == "nhle-onnx/detection/v1"
    checks = {check["name"]: check["value"] for check in report["checks"]}
    assert checks["after.ap_f"] == 0
    assert checks["tensors_changed_outside_scope"] == checks["graph_changes"] == 0
    assert report["samples"]["forget"] == report["samples"]["anchors"] == 6
    before, after = onnx.load(detector), onnx.load(edited)
    assert [node.name for node in before.graph.node] == [node.name for node in after.graph.node]
    names = {tensor.name for tensor in before.graph.initializer}
    assert set(report["changed_tensors"]) <= names
    assert {name.split(".")[0] for name in report["changed_tensors"]} == {"trunk", "classes"}

    judged = nhle(
        *("verify", edited, "--baseline", detector, "--forget", "hat"),
        *("--data", scenes, "--json"),
    )
    again = json.loads(judged.out)
    for name in ("before", "after", "unmasked"):
        assert again[name] == report[name]


def test_a_dry_run_writes_nothing(nhle: Nhle, detector: Path, scenes: Path, tmp_path: Path) -> None:
    found = nhle(
        *("unlearn", detector, "--forget", "key", "--samples", scenes, "--method", "cwm"),
        *("--out", tmp_path / "x.onnx", "--dry-run", "--force-unknown"),
    )
    assert found.code == 0
    assert json.loads(found.out)["schema"] == "nhle-onnx/detection-plan/v1"
    assert not list(tmp_path.iterdir())


def test_masking_alone_says_so(nhle: Nhle, detector: Path, scenes: Path, tmp_path: Path) -> None:
    edited = tmp_path / "masked.onnx"
    found = nhle(
        *("unlearn", detector, "--forget", "hat", "--samples", scenes, "--data", scenes),
        *("--method", "cwm", "--out", edited, "--force-unknown"),
    )
    assert "restoring the channels brings it back" in found.err
    assert "unmasked.ap_f" not in found.out


@pytest.mark.parametrize(("needed", "code"), [(0.99, 3), (-1.0, 0)])
def test_a_class_must_be_known_to_be_forgotten(
    needed: float,
    code: int,
    nhle: Nhle,
    detector: Path,
    scenes: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the average precision on images with boxes; anchors may be other images."""
    monkeypatch.setattr("nhle_onnx.workflows.detection.plan.KNOWN", needed)
    found = nhle(
        *("unlearn", detector, "--forget", "hat", "--samples", scenes, "--data", scenes),
        *("--method", "cwm", "--anchors", scenes, "--dry-run"),
    )
    assert found.code == code, found.err
    if code:
        assert "does not know hat: its average precision on these images is" in found.err
        assert "--force-unknown" in found.err
    else:
        assert json.loads(found.out)["samples"]["anchors"] == 12


@pytest.mark.parametrize(
    ("command", "flags", "code", "reason"),
    [
        (
            "unlearn",
            ("--force-unknown", "--method", "nhle", "--steps", "2"),
            6,
            "nothing keeps the other classes unchanged",
        ),
        ("verify", (), 3, "nothing says which boxes the images in"),
        ("verify", ("--engine", "ray"), 2, "a detector is verified in this process"),
        ("verify", ("--provider", "cpu", "--provider", "cuda"), 2, "on one provider"),
    ],
)
def test_images_without_boxes_do_not_do(
    command: str, flags: tuple[object, ...], code: int, reason: str, nhle: Nhle, detector: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    """They are judged by nothing, and show what the detector itself finds."""
    Image.new("RGB", (EXTENT, EXTENT)).save(tmp_path / "a.png")
    data = "--samples" if command == "unlearn" else "--data"
    flags += ("--out", tmp_path / "x.onnx") if command == "unlearn" else ()
    found = nhle(command, detector, "--forget", "hat", data, tmp_path, *flags)
    assert found.code == code, found.err
    assert reason in found.err + found.out


def test_a_detector_of_one_batch_is_rehearsed(
    nhle: Nhle, detector: Path, scenes: Path, tmp_path: Path
) -> None:
    """Training takes more images at once than its graph does."""
    proto = onnx.load(detector)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    for name in ("labels.txt", "preprocessor_config.json"):
        (tmp_path / name).write_bytes(detector.with_name(name).read_bytes())
    onnx.save(proto, tmp_path / "model.onnx")
    found = nhle(
        *("unlearn", tmp_path / "model.onnx", "--forget", "hat", "--samples", scenes),
        *("--method", "nhle", "--out", tmp_path / "x.onnx", "--force-unknown", "--dry-run"),
    )
    assert found.code == 0, found.err
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--mask", "drop"), "a detector does not take --mask drop yet"),
        (("--scope", "all"), "a detector does not take --scope all yet"),
        (("--anchors", "off"), "a detector does not take --anchors off yet"),
    ],
)
def test_options_without_a_meaning_yet_are_refused(
    nhle: Nhle, detector: Path, scenes: Path, arguments: tuple[str, ...], reason: str
) -> None:
    found = nhle("unlearn", detector, "--forget", "hat", "--samples", scenes, *arguments)
    assert found.code == 4
    assert reason in found.err


def test_a_page_shows_boxes_before_and_after(
    nhle: Nhle, detector: Path, scenes: Path, tmp_path: Path
) -> None:
    edited, page = tmp_path / "edited.onnx", tmp_path / "page.html"
    named = ("--forget", "hat", "--data", scenes, "--report", page)
    nhle(
        *("unlearn", detector, *named, "--samples", scenes, "--method", "cwm", "--force-unknown"),
        *("--out", edited, "--report-images", 4),
    )
    text = page.read_text("utf-8")
    report = json.loads(edited.with_name("edited.report.json").read_text("utf-8"))
    assert len(report["scenes"]) == 4
    shown = report["scenes"][0]
    assert [box["index"] for box in shown["true"]] == [1]
    assert all(box["index"] != 1 for box in shown["detected"]["edited"])
    assert text.count('<rect class="true" x="20.0" y="20.0" width="60.0" height="60.0"/>') == 8
    assert 'alt="Image 0 with the boxes before forgetting: ' in text
    assert "It is no longer detected in any of these 4 images." in text
    assert "Average precision of the forgotten classes" in text

    masked = ("unlearn", detector, *named[:-1], tmp_path / "page.md", "--samples", scenes)
    nhle(*masked, "--method", "cwm", "--force-unknown", "--out", tmp_path / "again.onnx")
    assert ": unlearn, forgetting 1 hat" in (tmp_path / "page.md").read_text("utf-8")

    nhle("verify", edited, "--baseline", detector, *named, "--force", "--report-images", 0)
    text = page.read_text("utf-8")
    assert "What the detector still knows of 1 hat" in text
    assert "<rect" not in text


@pytest.fixture
def fleet(detector: Path, scenes: Path, tmp_path: Path) -> Path:
    """A job for a detector, whose boxes are written outside the folder of its images."""
    for name in ("model.onnx", "labels.txt", "preprocessor_config.json"):
        shutil.copy(detector.with_name(name), tmp_path)
    for name, suffix in (("images", ".png"), ("labels", ".txt")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for file in scenes.glob(f"*{suffix}"):
            shutil.copy(file, tmp_path / "set" / name)
    file = tmp_path / "fleet.toml"
    file.write_text(
        '[[job]]\nmodel = "model.onnx"\nforget = "hat"\nmethod = "cwm"\nforce-unknown = true\n'
        'samples = "set/images"\ndata = "set/images"\n'
    )
    return file


def test_a_fleet_of_detectors_is_resumed(nhle: Nhle, fleet: Path) -> None:
    def run() -> dict[str, Any]:
        found = nhle("fleet", fleet, "--engine", "local", "--json")
        (job,) = json.loads(found.out)["jobs"]
        assert found.code == job["exit_code"] == EXIT_CODES[job["status"]], found.err
        return dict(job)

    plan = json.loads(nhle("fleet", fleet, "--dry-run", "--json").out)
    assert [(job["model"], job["status"]) for job in plan["jobs"]] == [("model.onnx", "ready")]
    job = run()
    record = job["record"]
    report = json.loads(next(fleet.parent.glob("fleet/*/model.report.json")).read_text("utf-8"))
    assert (job["model"], record["schema"]) == ("model.onnx", "nhle-onnx/detection-job/v1")
    assert record["ap_f"] == report["after"]["ap_f"] == 0
    assert record["delta_map_r"] == report["delta_map_r"]
    assert record["unmasked_ap_f"] == report["unmasked"]["ap_f"]
    assert run() == job | {"kept": True}
    (fleet.parent / "set" / "labels" / "0.txt").write_text("1 .4 .4 .6 .6\n")
    assert not run()["kept"]
    assert "AP_F  change of mAP_R" in nhle("fleet", fleet, "--engine", "local").out


def test_reports_of_detectors_are_viewed(
    nhle: Nhle, detector: Path, scenes: Path, tmp_path: Path
) -> None:
    edited = tmp_path / "edited.onnx"
    nhle(
        *("unlearn", detector, "--forget", "hat", "--samples", scenes, "--data", scenes),
        *("--method", "cwm", "--force-unknown", "--out", edited),
    )
    judged = nhle("verify", edited, "--forget", "hat", "--data", scenes, "--json")
    (tmp_path / "verify.json").write_text(judged.out, "utf-8")
    pages = list_pages(read_documents((tmp_path,)))
    assert "AP 0" in pages[""]()
    assert "What the detector still knows of 1 hat" in pages["report/1"]()


def test_a_patch_makes_the_same_detector_and_ort_file(
    nhle: Nhle, detector: Path, scenes: Path, tmp_path: Path
) -> None:
    edited, patch, out = (tmp_path / name for name in ("e.onnx", "p.nhlepatch", "new.onnx"))
    nhle(
        *("unlearn", detector, "--forget", "hat", "--samples", scenes, "--data", scenes),
        *("--method", "cwm", "--force-unknown", "--out", edited, "--also", "ort"),
        *("--bom", tmp_path / "bom.json"),
    )
    assert nhle("patch", "create", detector, edited, "--out", patch).code == 0
    assert nhle("patch", "apply", detector, patch, "--out", out).code == 0
    assert out.read_bytes() == edited.read_bytes()
    found = nhle("patch", "apply", detector, patch, "--out", out, "--also", "ort", "--force")
    assert found.code == 0
    assert out.with_suffix(".ort").stat().st_size == edited.with_suffix(".ort").stat().st_size
    report = json.loads(edited.with_name("e.report.json").read_text("utf-8"))
    (file,) = report["also"]
    assert (file["images"], file["agreement"]) == (12, 1)
    assert file["largest_difference"] <= 0.01
    model = read_bom((tmp_path / "bom.json").read_text("utf-8"))["metadata"]["component"]
    assert model["description"] == "A detector that was made to forget class 1 hat."
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {
        "type": "AP_F",
        "value": "0.000000",
        "slice": "forgotten classes, the edited model",
    } in (metrics)


def test_another_ort_file_is_told_apart(detector: Path) -> None:
    subject = open_detector(detector, ModelFlags())
    other = copy_model(subject.model.proto)
    (bias,) = (each for each in other.graph.initializer if each.name == "classes.0.bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 1, bias.name))
    names, target = name_outputs(subject), subject.image_input
    converted, noise = convert_to_ort(other), make_noise(target)
    assert compare_detectors(converted, other, names, noise, target, 2).passed
    assert not compare_detectors(converted, subject.model.proto, names, noise, target, 2).passed


def test_images_without_the_class_are_refused(
    nhle: Nhle, detector: Path, scenes: Path, tmp_path: Path
) -> None:
    found = nhle(
        *("unlearn", detector, "--forget", "cup", "--samples", scenes),
        *("--out", tmp_path / "x.onnx", "--force-unknown"),
    )
    assert found.code == 3
    assert "shows cup" in found.err
