"""NaN and infinity, wherever they arise: the run stops with the reason, and writes nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nhle_onnx.errors import NotFiniteError, TrainingDivergedError
from nhle_onnx.training.budget import start_budget
from nhle_onnx.training.loop import Losses, train
from nhle_onnx.verification.accuracy import predict_classes
from support.lenets import (
    WEIGHT,
    list_images,
    read_inputs,
    save_arrays,
    save_lenet,
    save_lenet_with_root,
    save_samples,
)
from support.runs import Nhle, Result
from support.shipped import EVALUATION, LENET, SAMPLES


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """Where nothing may be written."""
    folder = tmp_path / "out"
    folder.mkdir()
    yield folder / "edited.onnx"
    assert list(folder.iterdir()) == []


def assert_stopped(result: Result, code: int, *fragments: str) -> None:
    assert result.code == code, result.err
    assert result.err.count("error:") == 1
    assert "Traceback" not in result.err
    assert "Warning" not in result.err
    for fragment in (*fragments, "remedy:"):
        assert fragment in result.err


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_input_that_is_no_number(nhle: Nhle, out: Path, tmp_path: Path, value: float) -> None:
    x, y = read_inputs()
    x[np.flatnonzero(y == 3)[2], 0, 5, 5] = value
    path = save_arrays(tmp_path / "samples.npz", x[:300], y[:300])
    result = nhle("unlearn", LENET, "--forget", 3, "--samples", path, "--out", out)
    assert_stopped(result, 3, "samples.npz")
    assert_stopped(nhle("verify", LENET, "--forget", 3, "--data", path), 3, "samples.npz")


@pytest.mark.parametrize(
    "flags", ["--mean nan", "--mean inf", "--mean 1e39", "--std 1e-45", "--std nan"]
)
def test_preprocessing_that_makes_no_numbers(nhle: Nhle, out: Path, flags: str) -> None:
    result = nhle("unlearn", LENET, "--forget", 3, *flags.split(), "--out", out)
    assert_stopped(result, 3, "preprocessing from", flags.split(maxsplit=1)[0])


def test_preprocessing_that_overflows_is_refused(nhle: Nhle, out: Path) -> None:
    """Each of its numbers is one, and what they make of an image is not."""
    flags = ("--mean", "1e38", "--std", "0.001", "--data", EVALUATION)
    result = nhle("unlearn", LENET, "--forget", 3, *flags, "--out", out)
    assert_stopped(result, 3, "fashion_mnist: sample 0 of 16 holds numbers that are not finite")


@pytest.mark.parametrize("command", ["unlearn", "verify", "audit", "kit"])
def test_a_model_that_overflows_is_refused(
    nhle: Nhle, out: Path, tmp_path: Path, command: str
) -> None:
    """Its weights are finite, and its scores are not: no class wins."""
    model = save_lenet(tmp_path / "m", lambda old: {WEIGHT: old[WEIGHT] * 1e38})
    data = ("--data", EVALUATION)
    flags = {
        "unlearn": ("--samples", SAMPLES, "--out", out),
        "verify": data,
        "audit": (*data, "--baseline", LENET),
        "kit": (*data, "--out", out),
    }
    assert_stopped(nhle(command, model, "--forget", 3, *flags[command]), 3, str(model))


def test_a_forgotten_sample_without_an_answer_is_not_forgotten(
    nhle: Nhle, out: Path, tmp_path: Path
) -> None:
    """A model that answers NaN to every image of the class, and is right on all others."""
    x, y = read_inputs()
    x[y == 3] -= 1
    model = save_lenet_with_root(tmp_path / "m", darkest=float(x[y != 3].min()))
    data = save_arrays(tmp_path / "data.npz", x, y)
    first = np.flatnonzero(y == 3)[0]
    for baseline in ((), ("--baseline", LENET)):
        result = nhle("verify", model, "--forget", 3, "--data", data, *baseline)
        assert_stopped(result, 3, str(model), f"sample {first} is nan")
    result = nhle("verify", LENET, "--baseline", model, "--forget", 3, "--data", data)
    assert_stopped(result, 3, str(model), f"sample {first} is nan")
    masking = ("unlearn", model, "--forget", 3, "--method", "cwm", "--samples", data, "--out", out)
    assert_stopped(nhle(*masking), 3, str(model), "is nan")


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_no_class_wins_by_a_score_that_is_no_number(score: float) -> None:
    scores = np.zeros((4, 3), np.float32)
    scores[2, 1] = score
    with pytest.raises(NotFiniteError, match="sample 12"):
        predict_classes(scores, first=10)
    with pytest.raises(NotFiniteError, match="sample 0"):
        predict_classes(np.full((1, 3), -np.inf, np.float32))


def test_a_masked_score_may_be_minus_infinity() -> None:
    scores = np.array([[-np.inf, 1.0, 2.0], [0.0, -np.inf, -1.0]], np.float32)
    assert predict_classes(scores).tolist() == [2, 0]


def test_an_anchor_without_an_answer_is_none(nhle: Nhle, out: Path, tmp_path: Path) -> None:
    x, y = read_inputs()
    model = save_lenet_with_root(tmp_path / "m", darkest=float(x.min()) - 0.01)
    x[y != 3] -= 1
    samples = save_arrays(tmp_path / "s.npz", x, y)
    flags = ("--samples", samples, "--data", EVALUATION, "--out", out)
    result = nhle("unlearn", model, "--forget", 3, *flags)
    assert_stopped(result, 3, str(model), "sample 16 of 160")


def test_weight_that_overflows_at_the_last_step(nhle: Nhle, out: Path) -> None:
    """The loss was still finite, and no further step would find out."""
    flags = ("--steps", 1, "--lr", "3e38", "--loss", "paper-gradient", "--scope", "all")
    result = nhle("unlearn", LENET, "--forget", 3, *flags, "--out", out)
    assert_stopped(result, 3, "diverged at step 1", "weight", "--lr")


def test_edited_model_that_overflows_in_onnx_runtime(nhle: Nhle, out: Path) -> None:
    """After the only step each weight is finite, but not what the model computes with them."""
    flags = ("--steps", 1, "--lr", "1e12")
    result = nhle("unlearn", LENET, "--forget", 3, *flags, "--out", out)
    assert_stopped(result, 3, "the edited model", "is nan", "--lr")


def test_model_that_fails_on_what_training_makes_of_the_samples(
    nhle: Nhle, out: Path, tmp_path: Path
) -> None:
    """Anchors made from the forget samples are darker than any of them."""
    x, _ = read_inputs()
    model = save_lenet_with_root(tmp_path / "m", darkest=float(x.min()) - 0.01)
    samples = save_samples(tmp_path / "s", {"3": list_images("Dress")})
    result = nhle(
        "unlearn", model, "--forget", 3, "--samples", samples, "--data", EVALUATION,
        "--out", out,
    )  # fmt: skip
    assert_stopped(result, 3, "diverged at step 1", "the model as given")


@pytest.mark.parametrize(
    "name", ["forget_loss", "retain_loss", "alignment_loss", "forget_margin", "win_margin"]
)
def test_each_figure_of_a_step_must_be_a_number(name: str) -> None:
    """A margin of NaN is not above 0, and would pass for forgotten."""
    weight = nn.Parameter(torch.ones(2))

    def objective() -> Losses:
        figures = dict.fromkeys(("forget_margin", "win_margin"), -1.0)
        parts = dict.fromkeys(("forget", "retain", "alignment"), weight.sum())
        if name in figures:
            figures[name] = float("nan")
        else:
            parts[name.removesuffix("_loss")] = weight.sum() * float("nan")
        return Losses(drift=0.0, **parts, **figures)

    with pytest.raises(TrainingDivergedError, match=f"step 1: the {name} is nan"):
        train(
            torch.optim.SGD([weight], lr=0.1),
            objective,
            *start_budget(steps=3, measures=True, is_rounded=False, is_rate_given=True),
            max_steps=3,
            on_step=lambda _: None,
        )


_RUNTIME_OF_NAN = """
import numpy as np
__version__ = "0"
SessionOptions = type("SessionOptions", (), {})
def get_available_providers():
    return ["CPUExecutionProvider"]
class InferenceSession:
    def __init__(self, *_, **__):
        self.get_providers = get_available_providers
    def run(self, _names, feed):
        (images,) = feed.values()
        return [np.full((len(images), 10), np.nan, np.float32)]
"""


def test_a_device_that_computes_no_numbers_passes_nothing(nhle: Nhle, tmp_path: Path) -> None:
    """With no right answer it would have forgotten the class, were wrong ones assumed."""
    archive, folder = tmp_path / "kit.zip", tmp_path / "kit"
    masked = tmp_path / "m.onnx"
    nhle("unlearn", LENET, "--forget", 3, "--method", "cwm", "--out", masked)
    sidecar = LENET.with_name("preprocessor_config.json")
    flags = ("--preprocess", sidecar, "--data", EVALUATION, "--limit", 30, "--out", archive)
    assert nhle("kit", masked, "--forget", 3, *flags).code == 6
    shutil.unpack_archive(archive, folder)
    (tmp_path / "onnxruntime.py").write_text(_RUNTIME_OF_NAN)
    done = subprocess.run(
        [sys.executable, folder / "verify.py", "--out", tmp_path / "result.json"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert "the best score of image 0 is not finite here" in done.stderr
    assert not (tmp_path / "result.json").exists()
