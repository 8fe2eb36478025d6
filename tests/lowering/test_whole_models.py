"""Whole networks: the lowered module computes and learns what the original does."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from architectures import MLP, LeNet5, mobilenet_v3_large, mobilenet_v3_small
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.load import load_model
from nhle_onnx.lowering.module import LoweredModel, lower_model
from nhle_onnx.lowering.parity import check_parity
from nhle_onnx.lowering.weights import list_weights

NETWORKS = {
    "mlp": (MLP, (1, 28, 28)),
    "lenet5": (LeNet5, (1, 28, 28)),
    "mobilenetv3-small": (mobilenet_v3_small, (3, 32, 32)),
    "mobilenetv3-large": (mobilenet_v3_large, (3, 32, 32)),
}
EXPORTERS = ["legacy-11", "legacy-13", "legacy-17", "dynamo"]


def make_network(name: str) -> tuple[nn.Module, torch.Tensor]:
    """An initialised network in inference mode with uneven batch statistics, and a batch."""
    torch.manual_seed(0)
    build, shape = NETWORKS[name]
    network = build().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.running_mean, std=0.1)
    return network, torch.randn(3, *shape)


def export(network: nn.Module, batch: torch.Tensor, exporter: str, path: Path) -> None:
    """Export with a free batch size."""
    if exporter == "dynamo":
        free = {next(iter(network.forward.__annotations__)): {0: torch.export.Dim("batch")}}
        torch.onnx.export(
            network, (batch,), path, dynamo=True, dynamic_shapes=free, external_data=False,
            input_names=["image"], output_names=["logits"],
        )  # fmt: skip
        return
    torch.onnx.export(
        network, (batch,), path, dynamo=False, opset_version=int(exporter.split("-")[1]),
        input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )  # fmt: skip


def lower(path: Path) -> LoweredModel:
    return lower_model(load_model(path), source="image", output="logits")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_same_logits_as_onnxruntime(name: str, exporter: str, tmp_path: Path) -> None:
    network, batch = make_network(name)
    path = tmp_path / "model.onnx"
    export(network, batch, exporter, path)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    other = torch.randn(5, *batch.shape[1:])
    expected = session.run(None, {"image": other.numpy()})[0]
    with torch.no_grad():
        computed = lower(path).module(other).numpy()
    np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["mlp", "lenet5", "mobilenetv3-small"])
def test_same_gradients_as_the_original(name: str, tmp_path: Path) -> None:
    """Of the head and of all layers that the exporter left as they were."""
    network, batch = make_network(name)
    path = tmp_path / "model.onnx"
    export(network, batch, "legacy-17", path)
    lowered = lower(path)
    labels = torch.tensor([1, 5, 7])
    for module in (network, lowered.module):
        nn.functional.cross_entropy(module(batch), labels).backward()
    shared = dict(network.named_parameters()).keys() & lowered.parameter_of.keys()
    assert {"classifier.weight", "classifier.bias"} <= shared
    for parameter in shared:
        expected = dict(network.named_parameters())[parameter].grad
        torch.testing.assert_close(
            lowered.parameter_of[parameter].grad, expected, rtol=1e-3, atol=1e-5
        )


@pytest.mark.filterwarnings("ignore")
def test_every_float_weight_is_one_parameter(tmp_path: Path) -> None:
    network, batch = make_network("lenet5")
    path = tmp_path / "model.onnx"
    export(network, batch, "legacy-17", path)
    lowered = lower(path)
    assert lowered.parameter_of.keys() == dict(network.named_parameters()).keys()
    assert {id(value) for value in lowered.module.parameters()} == {
        id(value) for value in lowered.parameter_of.values()
    }
    assert "conv2d" in lowered.module.code


@pytest.mark.filterwarnings("ignore")
def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    """One initializer behind Identity nodes, as exporters write equal weights."""
    network, batch = make_network("mlp")
    path = tmp_path / "model.onnx"
    export(network, batch, "legacy-17", path)
    model = onnx.load(path)
    biases = [node.input[2] for node in model.graph.node if node.op_type == "Gemm"]
    alias = onnx.helper.make_node("Identity", [biases[0]], ["alias"])
    model.graph.node.insert(0, alias)
    gemm = next(node for node in model.graph.node if node.op_type == "Gemm")
    gemm.input[2] = "alias"
    onnx.save(model, path)
    loaded = load_model(path)
    assert biases[0] in list_weights(loaded.proto, loaded.opset, "logits")
    assert "alias" not in lower(path).parameter_of


def test_constants_of_a_hard_swish_are_no_weights() -> None:
    """The 3 and 6 of x · clip(x + 3, 0, 6) / 6 must not be trained."""
    shape = [1, 4]
    value = onnx.helper.make_tensor_value_info
    scalars = {"three": 3.0, "zero": 0.0, "six": 6.0}
    nodes = [
        onnx.helper.make_node("Add", ["x", "three"], ["a"]),
        onnx.helper.make_node("Clip", ["a", "zero", "six"], ["b"]),
        onnx.helper.make_node("Mul", ["x", "b"], ["c"]),
        onnx.helper.make_node("Div", ["c", "six"], ["y"]),
    ]
    initializers = [
        onnx.numpy_helper.from_array(np.array(number, np.float32), name)
        for name, number in scalars.items()
    ]
    graph = onnx.helper.make_graph(
        nodes, "g", [value("x", 1, shape)], [value("y", 1, shape)], initializers
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    assert list_weights(model, 17, "y") == ()


@pytest.mark.filterwarnings("ignore")
def test_a_departure_from_onnxruntime_is_refused(tmp_path: Path) -> None:
    network, batch = make_network("mlp")
    path = tmp_path / "model.onnx"
    export(network, batch, "legacy-17", path)
    lowered = lower(path)
    expected = lowered.module(batch).detach().numpy()
    assert check_parity(lowered, batch.numpy(), expected) == 0.0
    with pytest.raises(UnsupportedModelError, match="departs from ONNX Runtime"):
        check_parity(lowered, batch.numpy(), expected * 1.01)
    with pytest.raises(UnsupportedModelError, match="departs from ONNX Runtime"):
        check_parity(lowered, batch.numpy(), expected * np.nan)
