"""Bad input: the documented exit code, one clear message with the remedy, nothing left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from support.assertions import assert_refused
from support.graphs import make_model, make_node
from support.runs import Nhle, make_interruptible
from support.shipped import EVALUATION, LENET, MOBILENET, SAMPLES


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "edited.onnx"


@pytest.fixture(autouse=True)
def nothing_is_left(out: Path) -> None:  # type: ignore[misc]
    yield
    assert list(out.parent.iterdir()) == []


def test_a_missing_model_is_named(nhle: Nhle, out: Path, tmp_path: Path) -> None:
    result = nhle("unlearn", tmp_path / "absent.onnx", "--forget", 3, "--out", out)
    assert_refused(result, 3, "absent.onnx does not exist", "remedy:")


def test_a_folder_is_no_model(nhle: Nhle, out: Path, tmp_path: Path) -> None:
    assert_refused(nhle("unlearn", tmp_path, "--forget", 3, "--out", out), 3, "cannot be read")


@pytest.mark.parametrize(
    "content", [b"this is no model\n", b"", b"\x00" * 100, "héllo, wörld".encode() * 50]
)
@pytest.mark.parametrize("command", ["unlearn", "inspect"])
def test_a_text_file_is_no_model(
    nhle: Nhle, out: Path, tmp_path: Path, content: bytes, command: str
) -> None:
    path = tmp_path / "text.onnx"
    path.write_bytes(content)
    flags = ("--forget", 3, "--out", out) if command == "unlearn" else ()
    assert_refused(nhle(command, path, *flags), 3, "text.onnx is not an ONNX model", "remedy:")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_model_is_refused(
    nhle: Nhle, out: Path, lenet_copy: Path, share: float
) -> None:
    content = lenet_copy.read_bytes()
    lenet_copy.write_bytes(content[: int(share * len(content))])
    result = nhle("unlearn", lenet_copy, "--forget", 3, "--samples", SAMPLES, "--out", out)
    assert_refused(result, 3, "model.onnx", "remedy:")


def test_the_ort_format_is_refused(nhle: Nhle, out: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.ort"
    path.write_bytes(b"\x18\x00\x00\x00ORTM" + bytes(100))
    result = nhle("unlearn", path, "--forget", 3, "--out", out)
    assert_refused(result, 4, ".ort format", "Give the .onnx file")


@pytest.mark.parametrize(
    ("kernel", "reason"), [(2, "neither a 1x1 convolution"), (1, "not one score for each class")]
)
def test_a_detector_is_refused(
    nhle: Nhle, out: Path, tmp_path: Path, kernel: int, reason: str
) -> None:
    """A convolution whose output is a map of boxes has no classifier head."""
    node = make_node("Conv", "image w", "boxes", name="detect", strides=[2, 2])
    weight = np.zeros((24, 3, kernel, kernel), np.float32)
    path = tmp_path / "detector.onnx"
    model = make_model([node], {"image": [1, 3, 32, 32]}, {"boxes": [1, 24, 16, 16]}, {"w": weight})
    onnx.save(model, path)
    result = nhle("unlearn", path, "--forget", 3, "--out", out)
    assert_refused(result, 4, "no classifier head", "Conv detect", reason)
    shown = nhle("inspect", path)
    assert shown.code == 0
    assert "not supported" in shown.out


def test_unsupported_operators_are_named_at_once(nhle: Nhle, out: Path, lenet_copy: Path) -> None:
    model = onnx.load(lenet_copy)
    relus = [node for node in model.graph.node if node.op_type == "Relu"]
    relus[0].op_type, relus[1].op_type = "RandomNormalLike", "Bernoulli"
    onnx.save(model, lenet_copy)
    result = nhle("unlearn", lenet_copy, "--forget", 3, "--samples", SAMPLES, "--out", out)
    assert_refused(result, 4, "ai.onnx.Bernoulli", "ai.onnx.RandomNormalLike", "--method cwm")


def test_scores_that_are_not_one_row_an_image(nhle: Nhle, out: Path, lenet_copy: Path) -> None:
    """As a graph gives that mixes up its batch."""
    model = onnx.load(lenet_copy)
    features = model.graph.node[-1].input[0]
    model.graph.node[-1].input[0] = "twice"
    twice = helper.make_node("Concat", [features, features], ["twice"], axis=0)
    model.graph.node.insert(len(model.graph.node) - 1, twice)
    onnx.save(model, lenet_copy)
    request = ("--forget", 3, "--samples", SAMPLES, "--data", EVALUATION, "--out", out)
    for method in ("cwm", "nhle"):
        result = nhle("unlearn", lenet_copy, "--method", method, *request)
        assert_refused(result, 3, "rows for", "images", "the batch as its first axis")


def test_sparse_weights_are_named(nhle: Nhle, out: Path, lenet_copy: Path) -> None:
    model = onnx.load(lenet_copy)
    name = next(node.input[1] for node in model.graph.node if node.op_type == "Conv")
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    values = numpy_helper.to_array(weight)
    indices = numpy_helper.from_array(np.arange(values.size), "indices")
    model.graph.initializer.remove(weight)
    model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(
            numpy_helper.from_array(values.ravel(), name), indices, values.shape
        )
    )
    onnx.save(model, lenet_copy)
    result = nhle("unlearn", lenet_copy, "--forget", 3, "--samples", SAMPLES, "--out", out)
    assert_refused(result, 4, f"the tensor {name} is sparse", "--method cwm")
    found = json.loads(nhle("inspect", lenet_copy, "--json").out)
    assert (found["unlearn"]["nhle"], found["unlearn"]["cwm"]) == (False, True)
    assert found["reasons"] == [f"the tensor {name} is sparse, which cannot be trained"]


@pytest.mark.parametrize(
    ("forget", "fragment"),
    [("10", "out of range"), ("-1", "no class"), ("Hat", "no class 'Hat'"), ("3,99", "out of")],
)
def test_class_that_is_not_there(nhle: Nhle, out: Path, forget: str, fragment: str) -> None:
    result = nhle("unlearn", LENET, f"--forget={forget}", "--out", out)
    assert_refused(result, 2, fragment, "remedy:")


def test_all_classes_at_once_are_refused(nhle: Nhle, out: Path) -> None:
    result = nhle("unlearn", LENET, "--forget", ",".join(map(str, range(10))), "--out", out)
    assert_refused(result, 2, "Leave at least one class")


def test_a_wrong_command_line_exits_with_2(nhle: Nhle) -> None:
    assert nhle("unlearn", LENET).code == 2
    assert nhle("unlearn", LENET, "--forget", 3, "--loss", "none").code == 2
    assert nhle("unlearn", LENET, "--forget", 3, "--lr", "-1").code == 2
    assert nhle("unlearn", LENET, "--forget", 3, "--mean", "a,b").code == 2
    assert nhle("frobnicate").code == 2


def test_config_with_an_unknown_setting(nhle: Nhle, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("forget = 3\nlearning-rate = 0.1\n")
    result = nhle("unlearn", LENET, "--config", config)
    assert result.code == 2
    assert "learning-rate" in result.err


def test_a_folder_without_images_is_refused(nhle: Nhle, out: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    (empty / "3").mkdir(parents=True)
    result = nhle("unlearn", LENET, "--forget", 3, "--samples", empty, "--out", out)
    assert_refused(result, 3, "empty holds no images", "<class>/*.png")


def test_no_samples_of_the_class(nhle: Nhle, out: Path, tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    shutil.copytree(SAMPLES / "Bag", samples / "Bag")
    result = nhle("unlearn", LENET, "--forget", 3, "--samples", samples, "--out", out)
    assert_refused(result, 3, "no sample of class 3", "--method cwm")


def test_without_samples_the_remedy_says_where_they_belong(
    nhle: Nhle, out: Path, lenet_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lenet_copy.parent)
    result = nhle("unlearn", lenet_copy, "--forget", 3, "--out", out)
    assert_refused(result, 3, "calibration_samples/model_folder", "--method cwm")


def test_missing_samples_are_named(nhle: Nhle, out: Path, tmp_path: Path) -> None:
    result = nhle("unlearn", LENET, "--forget", 3, "--samples", tmp_path / "nowhere", "--out", out)
    assert_refused(result, 3, "nowhere does not exist")


def test_a_folder_named_after_no_class_is_refused(nhle: Nhle, out: Path, tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    shutil.copytree(SAMPLES / "Bag", samples / "Hats")
    result = nhle("unlearn", LENET, "--forget", 3, "--samples", samples, "--out", out)
    assert_refused(result, 3, "Hats is not named after a class")


@pytest.mark.parametrize("damage", ["text", "truncated", "empty"])
def test_an_image_that_cannot_be_decoded_is_named(
    nhle: Nhle, out: Path, tmp_path: Path, damage: str
) -> None:
    samples = tmp_path / "samples"
    shutil.copytree(SAMPLES / "Dress", samples / "Dress")
    victim = sorted((samples / "Dress").iterdir())[3]
    content = victim.read_bytes()
    victim.write_bytes({"text": b"no image", "truncated": content[:90], "empty": b""}[damage])
    result = nhle("unlearn", LENET, "--forget", 3, "--samples", samples, "--out", out)
    assert_refused(result, 3, victim.name, "cannot be decoded", "Replace or remove")


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.zeros((4, 28), np.uint8), "y": np.zeros(4, np.int64)},
        {"x": np.zeros((4, 3, 28, 28), np.float32), "y": np.zeros(4, np.int64)},
        {"x": np.zeros((4, 28, 28), np.float64), "y": np.zeros(4, np.int64)},
        {"x": np.zeros((4, 28, 28), np.uint8), "y": np.zeros(3, np.int64)},
        {"x": np.zeros((4, 28, 28), np.uint8), "y": np.full(4, 10)},
        {"x": np.zeros((4, 28, 28), np.uint8), "y": np.zeros(4, np.float32)},
        {"x": np.zeros((4, 28, 28), np.uint8)},
        {"x": np.zeros((0, 28, 28), np.uint8), "y": np.zeros(0, np.int64)},
        {"x": np.array([{}] * 4, dtype=object), "y": np.zeros(4, np.int64)},
    ],
    ids=["rank", "channels", "dtype", "length", "class", "kind", "no y", "empty", "pickle"],
)
def test_npz_of_the_wrong_form(
    nhle: Nhle, out: Path, tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    path = tmp_path / "samples.npz"
    np.savez(path, **arrays)
    result = nhle("unlearn", LENET, "--forget", 0, "--samples", path, "--out", out)
    assert_refused(result, 3, "samples.npz", "remedy:")


def test_an_archive_that_is_none_is_refused(nhle: Nhle, out: Path, tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    path.write_bytes(b"PK\x03\x04 not really")
    result = nhle("unlearn", LENET, "--forget", 0, "--samples", path, "--out", out)
    assert_refused(result, 3, "samples.npz")


def test_without_preprocessing_images_are_refused(nhle: Nhle, out: Path, lenet_copy: Path) -> None:
    lenet_copy.with_name("preprocessor_config.json").unlink()
    arguments = ("unlearn", lenet_copy, "--forget", 3, "--samples", SAMPLES, "--out", out)
    assert_refused(nhle(*arguments), 3, "--mean and --std", "preprocessor_config.json")


def test_images_of_another_size_are_refused(nhle: Nhle, out: Path) -> None:
    result = nhle("unlearn", LENET, "--forget", 3, "--size", "20,20", "--out", out)
    assert_refused(result, 3, "20x20", "28x28", "--size 28,28")


def test_an_output_that_exists_is_kept(nhle: Nhle, tmp_path: Path) -> None:
    existing = tmp_path / "kept.onnx"
    existing.write_bytes(b"precious")
    assert_refused(nhle("unlearn", LENET, "--forget", 3, "--out", existing), 3, "--force")
    existing.unlink()
    report = tmp_path / "kept.report.json"
    report.write_bytes(b"precious")
    assert_refused(nhle("unlearn", LENET, "--forget", 3, "--out", existing), 3, "--force")
    assert report.read_bytes() == b"precious"


def test_output_that_is_the_model(nhle: Nhle, lenet_copy: Path) -> None:
    before = lenet_copy.read_bytes()
    result = nhle(
        "unlearn", lenet_copy, "--forget", 3, "--samples", SAMPLES, "--out", lenet_copy, "--force"
    )
    assert_refused(result, 3, "never changed in place")
    assert lenet_copy.read_bytes() == before


def keep_weights_outside(model: Path, sidecar: str) -> Path:
    """Move a model's weights to a file beside it, and return that."""
    onnx.save_model(
        onnx.load(model), model, save_as_external_data=True, location=sidecar, size_threshold=0
    )
    return model.with_name(sidecar)


def test_output_that_holds_the_models_weights(nhle: Nhle, lenet_copy: Path) -> None:
    weights = keep_weights_outside(lenet_copy, "edited.onnx.data")
    before = weights.read_bytes()
    result = nhle(
        "unlearn", lenet_copy, "--forget", 3, "--samples", SAMPLES, "--force",
        "--out", lenet_copy.with_name("edited.onnx"),
    )  # fmt: skip
    assert_refused(result, 3, "never changed in place")
    assert weights.read_bytes() == before


@pytest.mark.parametrize("is_weights", [False, True])
def test_page_that_is_a_file_of_the_model(
    nhle: Nhle,
    lenet_copy: Path,
    is_weights: bool,  # noqa: FBT001
) -> None:
    weights = keep_weights_outside(lenet_copy, "weights.bin")
    page = lenet_copy.with_name("page.html")
    page.symlink_to(weights if is_weights else lenet_copy)
    before = page.read_bytes()
    result = nhle(
        "audit", lenet_copy, "--baseline", LENET, "--forget", 3, "--data", EVALUATION,
        "--report", page, "--force",
    )  # fmt: skip
    assert_refused(result, 3, "is read by the audit")
    assert page.read_bytes() == before


def test_output_in_a_folder_that_is_not_there(nhle: Nhle, tmp_path: Path) -> None:
    result = nhle("unlearn", LENET, "--forget", 3, "--out", tmp_path / "no" / "edited.onnx")
    assert_refused(result, 3, "cannot be written")


def test_a_folder_nobody_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    command = [sys.executable, "-m", "nhle_onnx", "unlearn", str(LENET), "--forget", "3"]
    command += ["--out", str(folder / "edited.onnx")]
    if os.geteuid() == 0:  # root may write anywhere, unless it gives that up
        if shutil.which("setpriv") is None:
            pytest.skip("root without setpriv cannot be kept out of a folder")
        command = ["setpriv", "--bounding-set=-dac_override", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "cannot be written: Permission denied" in done.stderr
    assert "remedy:" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


def test_an_interrupt_in_training_leaves_nothing(out: Path) -> None:
    arguments = ("unlearn", MOBILENET, "--forget", 3, "--steps", 100_000, "--out", out)
    command = make_interruptible(*arguments)
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        shown = ""
        while "training" not in shown:
            line = run.stderr.readline()
            assert line, shown
            shown += line
        time.sleep(1)
        run.send_signal(signal.SIGINT)
        try:
            rest = run.communicate(timeout=60)[1]
        finally:
            run.kill()
    assert run.returncode == 130
    assert rest.splitlines()[-1] == "interrupted: nothing is half-written"
    assert "Traceback" not in rest


def test_interrupted_where_the_interpreter_remembers_it(tmp_path: Path) -> None:
    """Such as in dataclasses, which exec strings, while torch is being imported."""
    program = """
import nhle_onnx.cli.main as program
program.cli.main = lambda *_, **__: exec("raise KeyboardInterrupt")
program.main()
"""
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "-m", "program"]
    done = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 130


def test_training_that_diverges_stops_and_names_the_rate(nhle: Nhle, out: Path) -> None:
    result = nhle(
        "unlearn", LENET, "--forget", 3, "--loss", "paper-gradient", "--lr", "10",
        "--anchors", "off", "--out", out,
    )  # fmt: skip
    assert_refused(result, 3, "training diverged at step", "--lr")


def test_cuda_that_is_not_there(nhle: Nhle, out: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("CUDA works here")
    arguments = ("unlearn", LENET, "--forget", 3, "--out", out)
    assert_refused(nhle(*arguments, "--device", "cuda"), 5, "--device cpu")
    assert_refused(nhle(*arguments, "--device", "cuda:1"), 5, "training on cuda:1", "--device cpu")
    assert_refused(nhle(*arguments, "--device", "cuda:x"), 2, "'cuda:x' is not one of")
    assert_refused(nhle(*arguments, "--provider", "cuda"), 5, "CPUExecutionProvider")
    data = ("--data", EVALUATION)
    assert nhle("verify", LENET, "--forget", 3, *data, "--provider", "cuda").code == 5
