"""scikit-learn's networks, as skl2onnx writes them with its defaults: labels, and a map."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.load import load_model
from nhle_onnx.lowering.module import lower_model
from support.runs import Nhle

WIDTH, CLASSES, FORGET = 6, 4, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline's file, and features around one point for each class."""
    folder = tmp_path_factory.mktemp("sklearn")
    rng = np.random.default_rng(0)
    labels = np.arange(600) % CLASSES
    points = 4 * rng.normal(size=(CLASSES, WIDTH))
    features = (points[labels] + rng.normal(size=(600, WIDTH))).astype(np.float32)
    network = make_pipeline(StandardScaler(), MLPClassifier((12,), max_iter=100, random_state=0))
    network.fit(features[:200], labels[:200])
    onnx.save(to_onnx(network, features[:1]), folder / "model.onnx")
    np.savez(folder / "samples.npz", x=features[:200], y=labels[:200])
    np.savez(folder / "test.npz", x=features[200:], y=labels[200:])
    return folder


def test_scores_are_found_before_the_map(folder: Path) -> None:
    model = load_model(folder / "model.onnx")
    makers = {output: node.op_type for node in model.proto.graph.node for output in node.output}
    outputs = [value.name for value in model.proto.graph.output]
    assert [makers[name] for name in outputs][1] == "ZipMap"
    head = find_head(model)
    assert head.num_classes == CLASSES
    assert head.output not in outputs
    features = np.load(folder / "test.npz")["x"]
    computed = lower_model(model, source="X", output=head.output).module(torch.from_numpy(features))
    named = ort.InferenceSession(folder / "model.onnx").run(outputs[1:], {"X": features})[0]
    expected = np.array([[*each.values()] for each in named])
    np.testing.assert_allclose(computed.detach().numpy(), expected, atol=1e-6)


def test_labels_and_map_forget(folder: Path, nhle: Nhle) -> None:
    done = nhle(
        "unlearn", folder / "model.onnx", "--forget", FORGET, "--samples", folder / "samples.npz",
        "--data", folder / "test.npz", "--out", folder / "edited.onnx", "--json",
    )  # fmt: skip
    assert done.code == 0, done
    checks = {check["name"]: check["value"] for check in json.loads(done.out)["checks"]}
    assert checks["output output_label.acc_f"] == checks["output output_probability.acc_f"] == 0.0
    features = np.load(folder / "test.npz")["x"]
    session = ort.InferenceSession(folder / "edited.onnx")
    labels, named = session.run(["output_label", "output_probability"], {"X": features})
    assert {*labels} == {0, 1, 3}
    assert all(max(each, key=each.get) == label for each, label in zip(named, labels, strict=True))
