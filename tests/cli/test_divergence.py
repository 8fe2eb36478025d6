"""A model whose trainable form is wrong is refused, and the message names the first wrong node."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.ops import activation
from studies.formats import FORMATS, Calibration, quantize
from support.runs import Nhle
from support.shipped import LENET, SAMPLES, copy_sidecars


def leaky(node: object, x: Tensor) -> Tensor:
    """A wrong ReLU."""
    del node
    return functional.leaky_relu(x, 0.9)


@pytest.fixture(params=["float", "dynamic-int8"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """LeNet-5, also with scales that are found while it runs, one image at a time."""
    if request.param == "float":
        return LENET
    path = tmp_path / "given" / "model.onnx"
    path.parent.mkdir()
    copy_sidecars(path.parent)
    images = Calibration("image", np.zeros((0,), np.float32))
    onnx.save(quantize(FORMATS[request.param], onnx.load(LENET), images), path)
    return path


def test_first_departing_node_is_named(
    model: Path, tmp_path: Path, nhle: Nhle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation, "relu", leaky)
    out = tmp_path / "o.onnx"
    result = nhle("unlearn", model, "--forget", 3, "--samples", SAMPLES, "--out", out)
    assert result.code == 4
    assert "first at Relu /features/features.1/Relu" in result.err
    assert not out.exists()


def test_a_search_that_fails_leaves_the_refusal(
    tmp_path: Path, nhle: Nhle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime may not compute what stands inside a graph as it computes its output."""

    def fail(*_: object) -> str:
        message = "operands could not be broadcast together"
        raise ValueError(message)

    monkeypatch.setattr(activation, "relu", leaky)
    monkeypatch.setattr("nhle_onnx.workflows.training.find_diverging_node", fail)
    result = nhle("unlearn", LENET, "--forget", 3, "--out", tmp_path / "o.onnx")
    assert result.code == 4
    assert "differs from ONNX Runtime" in result.err
    assert "first at" not in result.err
    assert "--method cwm" in result.err
