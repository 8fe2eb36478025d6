"""Requests that make no sense, and figures that cannot be told: said, never passed over."""

from pathlib import Path

import numpy as np
import onnx
import pytest

import nhle_onnx
from nhle_onnx.errors import UsageError
from nhle_onnx.runtime.native import CPU, CUDA
from nhle_onnx.runtime.providers import find_provider_fault
from nhle_onnx.values.doctor import Trial
from nhle_onnx.values.signature import TrustedKey
from nhle_onnx.workflows import doctor
from support.graphs import make_model, make_node
from support.runs import Nhle
from support.shipped import EVALUATION, LENET, SAMPLES

MASK = ("unlearn", LENET, "--forget", 3, "--method", "cwm", "--samples", SAMPLES)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Forty labelled images."""
    with np.load(EVALUATION) as archive:
        np.savez(tmp_path / "few.npz", x=archive["x"][:40], y=archive["y"][:40])
    return tmp_path / "few.npz"


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--anchors", "empty"), 3, "holds no images"),
        (("--preprocess", "nothing.json"), 3, "says nothing about preprocessing"),
        (("--mean", "a,b"), 2, "is not a list of numbers"),
        (("--mean", "1,2"), 2, "has 2 numbers"),
        (("--lr", "fast"), 2, "is neither 'auto' nor a number"),
        (("--lr", "-1"), 2, "-1"),
    ],
    ids=str,
)
def test_flags_that_lead_nowhere(
    flags: tuple[str, ...], code: int, message: str, nhle: Nhle, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    method = () if "--anchors" in flags else ("--method", "cwm")
    result = nhle(
        "unlearn", LENET, "--forget", 3, "--samples", SAMPLES, *method, *flags, "--out", "o.onnx"
    )
    assert result.code == code, result.err
    assert message in result.err
    assert not (tmp_path / "o.onnx").exists()


def test_a_signature_without_a_key_proves_nothing(nhle: Nhle, tmp_path: Path) -> None:
    files = ("base.onnx", "p.nhlepatch", "-o", tmp_path / "o.onnx", "--signature", "p.sig")
    result = nhle("patch", "apply", *files)
    assert result.code == 2
    assert "--require-signature" in result.err


def test_nobody_is_trusted_by_default() -> None:
    with pytest.raises(ValueError, match="public key"):
        TrustedKey()


def test_each_image_has_a_class() -> None:
    import torch  # noqa: PLC0415 - slow, and the other tests do without

    images, classes = torch.zeros(4, 1, 28, 28), [0, 1, 2]
    with pytest.raises(UsageError, match="4 images, but 3 classes"):
        nhle_onnx.unlearn_module(torch.nn.Identity(), images, classes, forget=1, out="o.onnx")


def save_linear_model(path: Path) -> Path:
    """A network of one layer, for LeNet-5's images and classes."""
    nodes = [
        make_node("Flatten", "image", "flat"),
        make_node("Gemm", "flat weight bias", "logits"),
    ]
    tensors = {
        "weight": np.random.default_rng(0).normal(size=(784, 10)).astype(np.float32),
        "bias": np.zeros(10, np.float32),
    }
    model = make_model(nodes, {"image": ["n", 1, 28, 28]}, {"logits": ["n", 10]}, tensors)
    onnx.save(model, path)
    return path


def test_a_baseline_of_another_kind_cannot_unmask(nhle: Nhle, few: Path) -> None:
    baseline = save_linear_model(few.with_name("linear.onnx"))
    result = nhle("verify", LENET, "--baseline", baseline, "--forget", 3, "--data", few)
    assert "the baseline's head reads 784 features and the model's 84" in result.out
    assert "the graph itself differs" in result.err


def test_how_long_it_took_is_told_where_it_is_asked_for(nhle: Nhle, tmp_path: Path) -> None:
    quick, told = (
        nhle(*MASK, "--out", tmp_path / f"{name}.onnx", *flags)
        for name, flags in (("quick", ()), ("told", ("--verbose",)))
    )
    assert "elapsed" not in quick.out
    assert "elapsed" in told.out


def test_a_provider_that_was_not_built() -> None:
    fault = find_provider_fault("NoSuchExecutionProvider")
    assert fault is not None
    assert "built without it" in fault


def test_what_a_machine_with_a_gpu_lacks_is_told() -> None:
    """Packages that overwrite each other, and a driver that neither package uses."""
    names = dict.fromkeys(("onnxruntime", "onnxruntime-gpu"), "1")
    trials = tuple(
        Trial(name=name, works=works, is_used=True, is_needed=False)
        for name, works in ((CPU, True), (CUDA, False), ("cpu", True), ("cuda", False))
    )
    notes = doctor._advise(names, trials, has_driver=True)
    for words, note in zip(("overwrite", "verification", "training"), notes, strict=True):
        assert words in note
    assert doctor._advise({"onnxruntime": "1"}, trials, has_driver=False) == ()
