"""A detector on the command line: what each command does with one."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

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


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--mask", "drop"), "mask drop is not supported yet"),
        (("--scope", "all"), "scope all is not supported yet"),
        (("--also", "ort"), "also"),
        (("--report", "page.html"), "page"),
    ],
)
def test_options_without_a_meaning_yet_are_refused(
    nhle: Nhle, detector: Path, scenes: Path, arguments: tuple[str, ...], reason: str
) -> None:
    found = nhle("unlearn", detector, "--forget", "hat", "--samples", scenes, *arguments)
    assert found.code == 4
    assert reason in found.err


def test_other_commands_say_that_they_do_not_take_detectors(
    nhle: Nhle, detector: Path, scenes: Path, tmp_path: Path
) -> None:
    common = ("--baseline", detector, "--forget", "hat", "--data", scenes)
    for arguments in (("audit",), ("kit", "--out", tmp_path / "kit.zip")):
        found = nhle(arguments[0], detector, *common, *arguments[1:])
        assert found.code == 4
        assert "is a detector, which this command does not take yet" in found.err


def test_images_without_the_class_are_refused(
    nhle: Nhle, detector: Path, scenes: Path, tmp_path: Path
) -> None:
    found = nhle(
        *("unlearn", detector, "--forget", "cup", "--samples", scenes),
        *("--out", tmp_path / "x.onnx", "--force-unknown"),
    )
    assert found.code == 3
    assert "shows cup" in found.err
