"""The bill of materials: valid by the published schema, and the same each time."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from support.boms import read_bom
from support.runs import Nhle
from support.shipped import LENET, SAMPLES

FLAGS = ("--method", "cwm", "--samples", SAMPLES)


def read_hash(component: dict[str, Any]) -> str:
    (given,) = component["hashes"]
    assert given["alg"] == "SHA-256"
    return str(given["content"])


@pytest.fixture
def bom(tmp_path: Path) -> Path:
    return tmp_path / "model.cdx.json"


def test_it_says_what_the_report_says(nhle: Nhle, lenet_copy: Path, bom: Path) -> None:
    onnx.save_model(
        onnx.load(lenet_copy), lenet_copy, save_as_external_data=True, location="weights.bin",
        size_threshold=0,
    )  # fmt: skip
    command = ("unlearn", lenet_copy, "--forget", 3, *FLAGS, "--also", "ort", "--bom", bom)
    result = nhle(*command)
    assert result.code == 0, result.err
    assert f"bom      {bom}" in result.out
    report = json.loads(lenet_copy.with_name("model.unlearned.report.json").read_text("utf-8"))
    document = read_bom(bom.read_text("utf-8"))
    model = document["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    assert model["name"] == "model.unlearned.onnx"
    assert read_hash(model) == report["edited"]["sha256"]
    assert [(part["name"], read_hash(part)) for part in model["components"]] == list(
        report["edited"]["sidecars"].items()
    )
    (ancestor,) = model["pedigree"]["ancestors"]
    assert read_hash(ancestor) == report["model"]["sha256"]
    assert [part["name"] for part in ancestor["components"]] == ["weights.bin"]
    assert [read_hash(part) for part in document["components"]] == [report["also"][0]["sha256"]]
    card = model["modelCard"]
    assert card["modelParameters"]["approach"] == {"type": "supervised"}
    metrics = {
        (metric["type"], metric["slice"]): float(metric["value"])
        for metric in card["quantitativeAnalysis"]["performanceMetrics"]
    }
    after = report["after"]
    assert metrics["Acc_F", "forgotten classes, the edited model"] == after["acc_f"] == 0.0
    assert metrics["Acc_R", "retained classes, the edited model"] == pytest.approx(after["acc_r"])
    assert metrics["accuracy", "class 8 Bag"] == pytest.approx(after["per_class"][8])
    limitations = card["considerations"]["technicalLimitations"]
    assert set(report["notes"]) < set(limitations)


def test_the_same_run_gives_the_same_text(nhle: Nhle, tmp_path: Path, bom: Path) -> None:
    command = ("unlearn", LENET, *FLAGS, "--out", tmp_path / "o.onnx", "--bom", bom, "--force")
    assert nhle(*command, "--forget", 3).code == 0
    first = bom.read_text("utf-8")
    assert nhle(*command, "--forget", 3).code == 0
    assert bom.read_text("utf-8") == first
    assert nhle(*command, "--forget", 5).code == 0
    assert read_bom(bom.read_text("utf-8"))["serialNumber"] != json.loads(first)["serialNumber"]


def test_labels_of_any_kind_stay_valid(nhle: Nhle, lenet_copy: Path, bom: Path) -> None:
    labels = ['"a', "\\b", "<c>", "裙", "\x1b[31m", "é\u202e", "a b", "{d}", "null", "e☃"]
    lenet_copy.with_name("labels.txt").write_text("\n".join(labels), "utf-8")
    samples = lenet_copy.with_name("samples")
    for index in range(10):
        (samples / str(index)).mkdir(parents=True)
        picture = next((SAMPLES / "Bag").iterdir())
        (samples / str(index) / "one.png").write_bytes(picture.read_bytes())
    command = ("unlearn", lenet_copy, "--forget", "0,3", "--method", "cwm", "--samples", samples)
    result = nhle(*command, "--bom", bom, "--force-unknown")
    assert result.code in {0, 1, 6}, result.err
    document = read_bom(bom.read_text("utf-8"))
    assert "classes 0" in document["metadata"]["component"]["description"]
    assert "\x1b" not in bom.read_text("utf-8")


def test_without_samples_it_says_nothing_of_accuracy(
    nhle: Nhle, lenet_copy: Path, bom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was measured, and nothing is said of accuracy."""
    monkeypatch.chdir(lenet_copy.parent)
    result = nhle("unlearn", lenet_copy, "--forget", 3, "--method", "cwm", "--bom", bom)
    assert result.code == 6, result.err
    card = read_bom(bom.read_text("utf-8"))["metadata"]["component"]["modelCard"]
    assert card["quantitativeAnalysis"]["performanceMetrics"] == []
    assert card["modelParameters"]["datasets"] == []
    assert "performanceTradeoffs" not in card["considerations"]


def test_a_failed_check_is_told(nhle: Nhle, tmp_path: Path, bom: Path) -> None:
    command = ("unlearn", LENET, "--forget", 3, *FLAGS, "--out", tmp_path / "o.onnx")
    assert nhle(*command, "--max-acc-r-drop", "-0.5", "--bom", bom).code == 1
    considerations = read_bom(bom.read_text("utf-8"))["metadata"]["component"]["modelCard"][
        "considerations"
    ]
    assert any("delta_acc_r failed" in text for text in considerations["technicalLimitations"])


@pytest.mark.parametrize("name", ["kept.json", "o.onnx", "o.report.json"])
def test_a_file_in_its_place_is_kept(nhle: Nhle, tmp_path: Path, name: str) -> None:
    (tmp_path / "kept.json").write_text("precious")
    out = tmp_path / "o.onnx"
    result = nhle("unlearn", LENET, "--forget", 3, *FLAGS, "--out", out, "--bom", tmp_path / name)
    assert result.code == 3
    assert "remedy: Give --" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]
    assert (tmp_path / "kept.json").read_text() == "precious"
