"""An audit of a detector: what attackers bring back of a class, and how that is judged."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import QuantFormat, quantize_static
from PIL import Image
from torch import Tensor

from nhle_onnx.release.viewer.documents import read_documents
from nhle_onnx.release.viewer.pages import list_pages
from support.detectors import EXTENT, Colours, export
from support.runs import Nhle

CONFIG = {
    "do_resize": False,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": False,
}
YOLO = "models/yolo_tiny_fashion_scenes/model.onnx"
CELL, CELLS = 8, EXTENT // 8
HAT = 1


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The original, one whose hat is only masked, one without the hat's features as well, and one
    that never had them.
    """
    folder = tmp_path_factory.mktemp("colours")
    paths = {
        name: export(Colours(forgotten), folder / f"{name}.onnx")
        for name, forgotten in {"original": (), "forgotten": (HAT,)}.items()
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(CONFIG), "utf-8")
    paths["masked"] = mask(paths["original"], folder / "masked.onnx")
    paths["reference"] = mask(paths["forgotten"], folder / "reference.onnx", bias=-9.0)
    paths["forgotten"] = mask(paths["forgotten"], folder / "forgotten.onnx")
    return paths


def mask(model: Path, path: Path, bias: float = -30.0) -> Path:
    proto = onnx.load(model)
    for tensor in proto.graph.initializer:
        if tensor.name.startswith("classes."):
            values = numpy_helper.to_array(tensor).copy()
            values[HAT] = bias if values.ndim == 1 else 0.0
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(proto, path)
    return path


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells of colours on noise: half of the scenes have hats and a cup, the others keys."""
    return draw(tmp_path_factory.mktemp("scenes"), ((HAT, HAT, 0), (2, 0, 2)))


def draw(folder: Path, shown: tuple[tuple[int, ...], ...], count: int = 16) -> Path:
    generator = np.random.default_rng(0)
    for place in range(count):
        pixels = generator.integers(0, 40, (EXTENT, EXTENT, 3), dtype=np.uint8)
        lines = []
        cells = generator.permutation(CELLS * CELLS)
        for index, cell in zip(shown[place % len(shown)], cells, strict=False):
            row, column = divmod(int(cell), CELLS)
            area = pixels[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
            area[..., index] = generator.integers(200, 255)
            centre = ((column + 0.5) / CELLS, (row + 0.5) / CELLS)
            lines.append(f"{index} {centre[0]} {centre[1]} {1 / CELLS} {1 / CELLS}\n")
        Image.fromarray(pixels).save(folder / f"{place:02}.png")
        (folder / f"{place:02}.txt").write_text("".join(lines), "utf-8")
    return folder


def name_all(models: dict[str, Path], which: str, scenes: Path) -> tuple[object, ...]:
    common = ("--baseline", models["original"], "--forget", "hat", "--data", scenes)
    return ("audit", models[which], *common)


def read(text: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The report, its measures, and its checks by name."""
    report = json.loads(text)
    measures = {each["name"]: each for each in report["measures"]}
    return report, measures, {each["name"]: each for each in report["checks"]}


def test_a_masked_class_is_brought_back_in_every_way(
    nhle: Nhle,
    models: dict[str, Path],
    scenes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nhle_onnx.auditing.detection.relearning.STEP_LIMIT", 6)
    page = tmp_path / "page.html"
    found = nhle(*name_all(models, "masked", scenes), "--json", "--report", page, "--repeats", 2)
    report, measures, checks = read(found.out)
    assert found.code == 1, found.err
    assert (report["schema"], report["verdict"]) == ("nhle-onnx/detection-audit/v1", "failed")
    assert report["samples"] == {"attack": 8, "judge": 8, "members": 0, "source": str(scenes)}
    assert checks["after.ap_f"]["value"] == 0
    assert not report["skipped"]
    for name in ("unmasking.ap_f", "rebuilding.ap_f", "probe.location_recall"):
        assert measures[name]["edited"] == measures[name]["original"] > 0.9
    for name in ("unmasking.ap_f", "rebuilding.ap_f"):
        assert checks[name]["verdict"] == "failed"
    assert measures["probe.balanced_accuracy"]["edited"] > 0.9
    curves = report["curves"]
    assert curves["edited"] == curves["original"]  # the same, once the mask is reset
    assert curves["edited"][-1] > 0.5 > curves["edited"][0]

    text = page.read_text("utf-8")
    assert "Has the detector forgotten 1 hat?" in text
    assert "With the original&#39;s class channels put back" in text
    assert text.count('<rect class="true"') > 1
    (tmp_path / "audit.json").write_text(found.out, "utf-8")
    pages = list_pages(read_documents((tmp_path / "audit.json",)))
    assert "AP 0" in pages[""]()
    assert "Has the detector forgotten 1 hat?" in pages["report/0"]()


def test_what_has_no_features_is_not_brought_back(
    nhle: Nhle, models: dict[str, Path], scenes: Path, tmp_path: Path
) -> None:
    """Also beside a detector that never saw the class; what few objects allow is named."""
    flags = ("--effort", "fast", "--reference", models["reference"], "--repeats", 1)
    found = nhle(*name_all(models, "forgotten", scenes), *flags, "--json")
    report, measures, checks = read(found.out)
    assert found.code == 6, found.err
    failed = [name for name, each in checks.items() if each["verdict"] == "failed"]
    assert not failed
    open_checks = [name for name, each in checks.items() if each["verdict"] == "not-judged"]
    assert open_checks == ["after.detected"]
    assert "relearning" in report["notes"][-1]
    for name in ("unmasking.ap_f", "rebuilding.ap_f"):
        assert measures[name]["edited"] < 0.2
        assert checks[name]["verdict"] == "passed"
    assert checks["rebuilding.ap_f.position"]["value"] > 0.9

    shown = nhle(*name_all(models, "forgotten", scenes), "--effort", "fast", "--repeats", 1,
                 "--report", tmp_path / "a.md")  # fmt: skip
    assert "8 for the attacker, 8 for measuring" in shown.out
    assert "AP_F, forgotten" in shown.out
    assert "rebuilding.ap_f" in shown.out
    assert "audit, forgetting 1 hat" in (tmp_path / "a.md").read_text("utf-8")


@pytest.mark.filterwarnings("ignore")
def test_a_detector_quantized_after_masking_is_judged_by_what_it_was_made_from(
    nhle: Nhle, models: dict[str, Path], scenes: Path, tmp_path: Path
) -> None:
    """Channel by channel, a masked channel gets a scale at which the original's is lost. What the
    file says of classes and images is lost as well; the original's still says it.
    """
    logging.getLogger().setLevel(logging.ERROR)
    told = tmp_path / "original"
    told.mkdir()
    folders = {"original": told, "masked": tmp_path}
    quantized = {name: quantize(models[name], folder) for name, folder in folders.items()}
    write_metadata(quantized["original"])
    named = ("--forget", "hat", "--data", scenes)
    for baseline in (models["original"], quantized["original"]):
        found = nhle("verify", quantized["masked"], "--baseline", baseline, *named, "--json")
        assert found.code == 1, found.err
        report = json.loads(found.out)
        assert report["after"]["ap_f"] == 0
        assert report["before"]["ap_f"] > 0.9
        assert report["unmasked"]["ap_f"] == pytest.approx(report["before"]["ap_f"], abs=0.05)
    flags = ("--baseline", models["original"], *named)
    audited = nhle("audit", quantized["masked"], *flags, "--effort", "fast", "--json")
    _, measures, _ = read(audited.out)
    assert measures["unmasking.ap_f"]["edited"] > 0.9
    kit = nhle("kit", quantized["masked"], *flags, "--out", tmp_path / "kit.zip")
    assert kit.code in {0, 6}, kit.err  # 6: so few objects prove little


def write_metadata(path: Path) -> None:
    """What Ultralytics writes into its files."""
    model = onnx.load(path)
    entries = {
        "names": str({0: "cup", 1: "hat", 2: "key"}), "task": "detect", "stride": "32",
        "imgsz": str([EXTENT, EXTENT]), "author": "Ultralytics",
    }  # fmt: skip
    onnx.helper.set_model_props(model, entries)
    onnx.save(model, path)


def quantize(model: Path, folder: Path) -> Path:
    """Quantize its convolutions channel by channel, by the range of noise."""
    shape = (1, 3, EXTENT, EXTENT)
    generator = np.random.default_rng(0)
    name = onnx.load(model).graph.input[0].name
    noise = iter([{name: generator.random(shape, np.float32)} for _ in range(4)])
    path = folder / f"{model.stem}.int8.onnx"
    quantize_static(
        model, path, SimpleNamespace(get_next=lambda: next(noise, None)), per_channel=True,
        quant_format=QuantFormat.QDQ, op_types_to_quantize=["Conv"],
    )  # fmt: skip
    return path


def test_scenes_without_the_class_judge_nothing(
    nhle: Nhle, models: dict[str, Path], tmp_path: Path
) -> None:
    draw(tmp_path, ((0, 2),), count=4)
    found = nhle(*name_all(models, "masked", tmp_path), "--json")
    report, measures, checks = read(found.out)
    assert found.code == 6, found.err
    assert [each["attack"] for each in report["skipped"]] == ["rebuilding", "probe", "relearning"]
    assert measures["unmasking.ap_f"]["edited"] is None
    for name in ("after.ap_f", "unmasking.ap_f", "rebuilding", "probe", "relearning"):
        assert "show" in checks[name]["gap"]


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--shadows", "2"), "does not take --shadows yet"),
        (("--effort", "thorough"), "does not take --effort thorough yet"),
        (("--members", "."), "does not take --members yet"),
    ],
)
def test_options_without_a_meaning_yet_are_refused(
    nhle: Nhle, models: dict[str, Path], scenes: Path, flags: tuple[str, ...], reason: str
) -> None:
    found = nhle(*name_all(models, "masked", scenes), *flags)
    assert found.code == 4
    assert f"an audit of a detector {reason}" in found.err


def test_inspect_tries_preprocessing_on_scenes(nhle: Nhle, tmp_path: Path) -> None:
    shown = ("--data", "calibration_samples/fashion_scenes/evaluation", "--range", "0,255")
    found = nhle("inspect", YOLO, *shown)
    assert found.code == 0, found.err
    tried = [line.split() for line in found.out.splitlines() if line.startswith("mean AP")]
    values = [float(line[2]) for line in tried]
    assert len(values) > 5
    assert values == sorted(values, reverse=True)
    assert found.out.splitlines()[-1] == "proposal --range 0,1 works better than what was found"
    Image.new("RGB", (EXTENT, EXTENT)).save(tmp_path / "plain.png")
    refused = nhle("inspect", YOLO, "--data", tmp_path)
    assert refused.code == 3
    assert "nothing says which boxes the images in" in refused.err


def test_models_that_do_not_fit_are_refused(
    nhle: Nhle, models: dict[str, Path], scenes: Path, tmp_path: Path
) -> None:
    classifier = "models/lenet5_fashion_mnist/model.onnx"
    named = ("--forget", "hat", "--data", scenes, "--effort", "fast")
    masked = models["masked"]
    for command in ("audit", "verify"):
        found = nhle(command, masked, "--baseline", classifier, *named[:4])
        assert found.code == 3
        assert f"{classifier} is not a detector, and {masked} is one" in found.err
    found = nhle("audit", masked, "--baseline", models["original"], *named, "--reference", masked)
    assert found.code == 3
    assert "answers exactly as the edited model" in found.err

    class Two(Colours):
        """Another detector: only two of the classes are given."""

        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images)[:, :-1]

    other = export(Two(), tmp_path / "other.onnx")
    other.with_name("labels.txt").write_text("cup\nhat\n", "utf-8")
    other.with_name("preprocessor_config.json").write_text(json.dumps(CONFIG), "utf-8")
    found = nhle("audit", masked, "--baseline", other, *named)
    assert found.code == 3
    assert f"{masked} was not made from {other}" in found.err
    found = nhle("audit", masked, "--baseline", models["original"], *named, "--reference", other)
    assert found.code == 3
    assert "has other classes, scales or images than" in found.err
