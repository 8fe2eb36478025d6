"""OpenVINO answers as ONNX Runtime does, where it is installed; where not, it is asked for."""

import json
from importlib.util import find_spec

import numpy as np
import onnx
import pytest

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.classifier import open_classifier
from support.runs import Nhle
from support.shipped import EVALUATION, LENET

FLAGS = ("verify", LENET, "--forget", 3, "--data", EVALUATION, "--runtime", "openvino")


@pytest.mark.skipif(find_spec("openvino") is not None, reason="OpenVINO is installed")
def test_a_runtime_that_is_not_installed_is_named(nhle: Nhle) -> None:
    result = nhle(*FLAGS)
    assert result.code == 5
    assert "In a clone of nhle-onnx: pip install '.[openvino]'" in result.err


def test_providers_belong_to_onnx_runtime(nhle: Nhle) -> None:
    result = nhle(*FLAGS, "--provider", "cuda")
    assert result.code == 2
    assert "Leave out --provider, or --runtime." in result.err


def test_openvino_answers_as_onnx_runtime() -> None:
    pytest.importorskip("openvino")
    classifier = open_classifier(LENET, ModelFlags())
    target, output = classifier.image_input, classifier.head.output
    images = np.random.default_rng(0).normal(size=(20, *target.sample_shape)).astype(np.float32)
    ours, theirs = (
        open_session(onnx.load(LENET), "cpu", runtime=runtime).run(output, images, target, 8)
        for runtime in ("onnxruntime", "openvino")
    )
    np.testing.assert_allclose(theirs, ours, atol=0.05 * ours.std())  # bfloat16, on some machines


def test_what_openvino_cannot_read_is_refused() -> None:
    pytest.importorskip("openvino")
    model = onnx.load(LENET)
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(InputRefusedError, match=r"cannot load the model: .*NoSuchOperator"):
        open_session(model, "cpu", runtime="openvino")


def test_verify_in_openvino(nhle: Nhle) -> None:
    pytest.importorskip("openvino")
    report = json.loads(nhle(*FLAGS, "--json").out)
    assert [each["provider"] for each in report["providers"]] == ["OpenVINO"]
    assert report["after"]["acc_f"] == pytest.approx(0.895, abs=0.01)
