"""What is shipped is what its papers say it is."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from nhle_onnx.cli.main import run
from support import ROOT
from support.idx import write_idx_split
from support.shipped import EVALUATION, LENET, MOBILENET, MOBILENET_INT8, SAMPLES


@pytest.mark.parametrize(
    ("path", "least"), [(LENET, 0.90), (MOBILENET, 0.91), (MOBILENET_INT8, 0.91)]
)
def test_cards_hold_digest_accuracy_and_licence(path: Path, least: float) -> None:
    card = path.with_name("card.md").read_text("utf-8")
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    stated = re.search(r"test accuracy \| (\d\.\d+)", card)
    assert stated is not None
    assert float(stated[1]) >= least
    for word in ("MIT", "Apache-2.0", "Fashion-MNIST", "recipe.py --data-root DIR"):
        assert word in card


@pytest.mark.parametrize(
    ("path", "least"), [(LENET, 0.90), (MOBILENET, 0.91), (MOBILENET_INT8, 0.91)]
)
def test_accuracy_on_the_shipped_images(
    path: Path, least: float, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["verify", str(path), "--forget", "0", "--data", str(EVALUATION), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert np.mean(report["after"]["per_class"]) >= least


def test_the_retrained_model_never_saw_its_class(capsys: pytest.CaptureFixture[str]) -> None:
    path = LENET.with_name("retrained_without_dress.onnx")
    card = path.with_suffix(".md").read_text("utf-8")
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    assert "recipe.py --data-root DIR --without 3" in card
    run(["verify", str(path), "--forget", "Dress", "--data", str(EVALUATION), "--json"])
    found = json.loads(capsys.readouterr().out)["after"]
    assert found["acc_f"] == 0
    assert found["acc_r"] >= 0.90


@pytest.mark.parametrize(
    "path", [LENET, LENET.with_name("retrained_without_dress.onnx"), MOBILENET, MOBILENET_INT8]
)
def test_models_are_one_file_that_names_no_machine(path: Path) -> None:
    content = path.read_bytes()
    assert not re.search(rb"/(home|root|tmp|work|usr)/", content)
    model = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert shape[0].dim_param
    assert [axis.dim_value for axis in shape][1:] in ([1, 28, 28], [3, 32, 32])


def test_samples_are_those_of_the_manifest() -> None:
    manifest = json.loads((SAMPLES / "manifest.json").read_text("utf-8"))
    files = {
        path.relative_to(SAMPLES).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in SAMPLES.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert files == manifest["sha256"]
    assert len(files) == 161
    with np.load(EVALUATION) as archive:
        assert archive["x"].shape == (2000, 28, 28)
        assert np.bincount(archive["y"]).tolist() == [200] * 10


@pytest.mark.parametrize(
    ("flags", "files"),
    [
        ((), {"model.onnx", "labels.txt", "preprocessor_config.json", "card.md"}),
        pytest.param(
            ("--without", "3"),
            {"retrained_without_dress.onnx", "retrained_without_dress.md"},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["model", "retrained"],
)
def test_recipes_run_from_idx_files(
    flags: tuple[str, ...], files: set[str], tmp_path: Path
) -> None:
    """On the shipped samples as a tiny data set: the recipe makes every file of the folder."""
    name = "lenet5_fashion_mnist"
    shown = sorted(SAMPLES.rglob("*.png"))
    folders = sorted({file.parent.name for file in shown})
    images = np.stack([np.asarray(Image.open(file)) for file in shown])
    labels = np.array([folders.index(file.parent.name) for file in shown], np.uint8)
    for split in ("train", "t10k"):
        write_idx_split(tmp_path, split, images, labels)
    script = ROOT / "models" / name / "recipe.py"
    out = tmp_path / "made"
    subprocess.run(
        [sys.executable, str(script), "--data-root", str(tmp_path), "--out", str(out), *flags],
        check=True,
        capture_output=True,
    )
    made = {path.name for path in out.iterdir()}
    assert made == files
    file = next(each for each in files if each.endswith(".onnx"))
    shipped, new = (onnx.load(folder / file) for folder in (ROOT / "models" / name, out))
    assert [node.op_type for node in new.graph.node] == [
        node.op_type for node in shipped.graph.node
    ]
