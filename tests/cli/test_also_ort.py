"""`--also ort`: the .ort file answers as the .onnx file does, or the run says that it does not."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper
from test_startup import PROBE

from nhle_onnx.graph.image_input import read_image_input
from nhle_onnx.graph.load import load_model
from nhle_onnx.release.ort_format import convert_to_ort
from nhle_onnx.runtime.noise import make_noise
from support.graphs import run_model
from support.runs import Nhle
from support.shipped import EVALUATION, LENET, MOBILENET, MOBILENET_INT8, SAMPLES

CWM = ("--forget", 3, "--method", "cwm", "--also", "ort")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "edited.onnx"


@pytest.mark.parametrize(
    "model", [LENET, MOBILENET, MOBILENET_INT8], ids=["lenet", "mobile", "int8"]
)
def test_it_answers_as_the_onnx_file(nhle: Nhle, out: Path, model: Path) -> None:
    result = nhle("unlearn", model, *CWM, "--samples", SAMPLES, "--out", out)
    assert result.code == 0, result.err
    converted = out.with_suffix(".ort")
    assert f"also     {converted}" in result.out
    report = json.loads(out.with_suffix(".report.json").read_text("utf-8"))
    (also,) = report["also"]
    content = converted.read_bytes()
    assert content[4:8] == b"ORTM"
    assert also["format"] == "ort"
    assert also["path"] == str(converted)
    assert also["sha256"] == hashlib.sha256(content).hexdigest()
    assert also["size_bytes"] == len(content)
    assert also["images"] == 2000
    assert also["source"] == str(EVALUATION)
    assert also["agreement"] == 1.0
    assert also["largest_difference"] < 1e-4
    checks = {check["name"]: check for check in report["checks"]}
    assert checks["also.ort.agreement"]["passed"]
    assert checks["also.ort.largest_difference"]["passed"]
    noise = make_noise(read_image_input(load_model(model), layout=None))
    answers = [run_model(path, noise) for path in (out, converted)]
    np.testing.assert_allclose(answers[0][0], answers[1][0], rtol=1e-4, atol=1e-4)
    assert (answers[1][0].argmax(1) != 3).all()


def test_stdout_is_one_document(nhle: Nhle, out: Path) -> None:
    """The converter prints and logs on its way."""
    result = nhle("unlearn", LENET, *CWM, "--out", out, "--json", "--quiet")
    assert json.loads(result.out)["passed"]
    assert result.err == ""


def test_converting_imports_no_torch(out: Path) -> None:
    """The converter's package imports torch, unless it is kept from it."""
    command = [sys.executable, "-c", PROBE, "unlearn", LENET, *map(str, CWM), "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_another_model_fails_the_gate(
    nhle: Nhle, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = convert_to_ort(onnx.load(LENET))
    monkeypatch.setattr("nhle_onnx.workflows.conversion.convert_to_ort", lambda _: original)
    result = nhle("unlearn", LENET, *CWM, "--out", out)
    assert result.code == 1
    assert result.out.splitlines()[-1].startswith("FAILED: also.ort.agreement")
    report = json.loads(out.with_suffix(".report.json").read_text("utf-8"))
    failed = [check["name"] for check in report["checks"] if not check["passed"]]
    assert failed == ["also.ort.agreement", "also.ort.largest_difference"]
    assert 0.8 < report["also"][0]["agreement"] < 0.95  # a tenth of the images are of class 3


def test_without_images_it_is_compared_on_noise(
    nhle: Nhle, lenet_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lenet_copy.parent)
    result = nhle("unlearn", lenet_copy, *CWM)
    assert result.code == 6, result.err
    assert "compared with the .onnx file on noise" in result.err
    report = json.loads(lenet_copy.with_name("model.unlearned.report.json").read_text("utf-8"))
    assert report["also"][0]["images"] == 16
    assert report["also"][0]["source"] == "noise"


def make_int4() -> ModelProto:
    """Weights of four bits, which the .ort format cannot hold."""
    model = onnx.load(LENET)
    weight = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 2)
    name = weight.name
    zeros = np.zeros(int(np.prod(weight.dims)), np.int8)
    whole = helper.make_tensor(f"{name}.whole", TensorProto.INT4, weight.dims, zeros)
    scale = helper.make_tensor(f"{name}.scale", TensorProto.FLOAT, [], [0.1])
    model.graph.initializer.remove(weight)
    model.graph.initializer.extend([whole, scale])
    node = helper.make_node("DequantizeLinear", [whole.name, scale.name], [name])
    model.graph.node.insert(0, node)
    model.opset_import[0].version = 21
    return model


def test_a_format_that_cannot_be_made(nhle: Nhle, lenet_copy: Path) -> None:
    onnx.save(make_int4(), lenet_copy)
    before = sorted(lenet_copy.parent.iterdir())
    result = nhle("unlearn", lenet_copy, *CWM)
    assert result.code == 4
    assert "ONNX Runtime cannot make a .ort file of this model" in result.err
    assert "remedy: Leave out --also ort" in result.err
    assert sorted(lenet_copy.parent.iterdir()) == before


def test_files_in_the_outputs_places_are_kept(nhle: Nhle, out: Path) -> None:
    out.with_suffix(".ort").write_bytes(b"precious")
    result = nhle("unlearn", LENET, *CWM, "--out", out)
    assert result.code == 3
    assert "edited.ort already exists" in result.err
    assert out.with_suffix(".ort").read_bytes() == b"precious"
    result = nhle("unlearn", LENET, *CWM, "--out", out.with_suffix(".ort"), "--force")
    assert result.code == 3
    assert "hold another output as well" in result.err


def test_a_dry_run_names_it(nhle: Nhle, out: Path) -> None:
    result = nhle("unlearn", LENET, *CWM, "--out", out, "--dry-run", "--json")
    assert str(out.with_suffix(".ort")) in json.loads(result.out)["would_write"]
