"""Whole networks: the lowered module computes and learns what the original does."""

import copy
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from architectures.examples import EXAMPLES, export_example, make_example, make_images
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.load import load_model
from nhle_onnx.lowering.module import LoweredModel, lower_model
from nhle_onnx.lowering.parity import check_parity
from nhle_onnx.lowering.weights import list_weights
from support.graphs import make_model, make_node, run_model

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = ["mlp", "lenet5", "mobilenetv3-small", "squeezenet1.1", "shufflenetv2", "vit"]
COMPARED = [*SMALL, "vgg16-bn", "densenet-short", "convnext-short"]
# The newer exporter takes seconds for each of these, and meets their operators elsewhere.
LEGACY_ONLY = {"vgg16", "resnet34", "mobilenetv3-large", "vit-fused"}
LEGACY_ONLY |= {"inceptionv3", "inceptionv3-2-outputs", "resnet18", "shufflenetv2"}
LEGACY_ONLY |= {"mobilenetv2", "efficientnet-b0"}
EXPORTS = [(name, "legacy-17") for name in EXAMPLES]
EXPORTS += [(name, "dynamo") for name in EXAMPLES if name not in LEGACY_ONLY]
EXPORTS += [(name, f"legacy-{opset}") for name in SMALL for opset in (11, 13)]


@pytest.fixture(autouse=True)
def same_images() -> None:
    """Whatever ran before: on some draws a ReLU crosses its kink, and gradients jump."""
    torch.manual_seed(0)


def lower(path: Path) -> LoweredModel:
    return lower_model(load_model(path), source="image", output="logits")


@cache
def get_network(name: str, *, has_biases: bool = True) -> nn.Module:
    return make_example(name, has_biases=has_biases)


def check_logits(network: nn.Module, name: str, exporter: str, path: Path) -> None:
    """On a batch of another size than the exported one."""
    export_example(network, make_images(name, 2), exporter, path)
    images = make_images(name, 3)
    expected = run_model(path, images.numpy())[0]
    module = lower(path).module
    with torch.no_grad():
        computed = module(images).numpy()
    np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    # on this device nothing can be read, and so no shape is
    assert module.to("meta")(images.to("meta")).shape == expected.shape


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "exporter"), EXPORTS)
def test_same_logits_as_onnxruntime(name: str, exporter: str, tmp_path: Path) -> None:
    check_logits(get_network(name), name, exporter, tmp_path / "model.onnx")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", ["legacy-17", "dynamo"])
@pytest.mark.parametrize("name", ["squeezenet1.1", "convnext-short"])
def test_same_logits_where_equal_biases_are_merged(
    name: str, exporter: str, tmp_path: Path
) -> None:
    check_logits(get_network(name, has_biases=False), name, exporter, tmp_path / "model.onnx")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COMPARED)
def test_same_gradients_as_the_original(name: str, tmp_path: Path) -> None:
    """Of the images, of the head and of all layers that the exporter left as they were.

    In float64, so that no processor's rounding decides; and the median of three draws, as the
    exporter rounds what it folds, and a ReLU may cross its kink in one of them.
    """
    network = copy.deepcopy(get_network(name))
    path = tmp_path / "model.onnx"
    export_example(network, make_images(name, 2), "legacy-17", path)
    lowered = lower(path)
    originals = dict(network.double().named_parameters())
    lowered.module.double()
    shared = originals.keys() & lowered.parameter_of.keys()
    assert {"classifier.weight", "classifier.bias"} <= shared
    errors = []
    for _ in range(3):
        images, labels = make_images(name, 3).double(), torch.tensor([1, 5, 7])
        expected = differentiate(network, images, labels, [originals[key] for key in shared])
        weights = [lowered.parameter_of[key] for key in shared]
        computed = differentiate(lowered.module, images, labels, weights)
        pairs = zip(computed, expected, strict=True)
        errors.append(max(float((ours - theirs).norm() / theirs.norm()) for ours, theirs in pairs))
    assert np.median(errors) < 1e-4


def differentiate(
    module: nn.Module, images: torch.Tensor, labels: torch.Tensor, weights: list[nn.Parameter]
) -> tuple[torch.Tensor, ...]:
    """The cross-entropy's gradients for the images and the weights."""
    inputs = images.clone().requires_grad_()
    loss = nn.functional.cross_entropy(module(inputs), labels)
    return torch.autograd.grad(loss, [inputs, *weights])


@pytest.mark.filterwarnings("ignore")
def test_every_float_weight_is_one_parameter(tmp_path: Path) -> None:
    network, batch = make_example("lenet5"), make_images("lenet5", 3)
    path = tmp_path / "model.onnx"
    export_example(network, batch, "legacy-17", path)
    lowered = lower(path)
    assert lowered.parameter_of.keys() == dict(network.named_parameters()).keys()
    assert {id(value) for value in lowered.module.parameters()} == {
        id(value) for value in lowered.parameter_of.values()
    }
    assert "conv2d" in lowered.module.code


@pytest.mark.filterwarnings("ignore")
def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    """One initializer behind Identity nodes, as exporters write equal weights."""
    network, batch = make_example("mlp"), make_images("mlp", 3)
    path = tmp_path / "model.onnx"
    export_example(network, batch, "legacy-17", path)
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
    nodes = [
        make_node("Add", "x three", "a"),
        make_node("Clip", "a zero six", "b"),
        make_node("Mul", "x b", "c"),
        make_node("Div", "c six"),
    ]
    scalars = {"three": 3.0, "zero": 0.0, "six": 6.0}
    tensors = {name: np.array(number, np.float32) for name, number in scalars.items()}
    model = make_model(nodes, {"x": [1, 4]}, {"y": [1, 4]}, tensors)
    assert list_weights(model, 17, "y") == ()


def test_an_attention_mask_is_no_weight() -> None:
    mask = np.where(np.tri(4, dtype=bool), 0, -np.inf).astype(np.float32)
    tensors = {"mask": mask, "positions": np.ones((4, 4), np.float32)}
    nodes = [make_node("Add", "x mask", "a"), make_node("Add", "a positions")]
    shape = ["batch", 4, 4]
    model = make_model(nodes, {"x": shape}, {"y": shape}, tensors)
    assert list_weights(model, 17, "y") == ("positions",)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", ["legacy-17", "dynamo"])
def test_a_class_token_is_a_weight(exporter: str, tmp_path: Path) -> None:
    """It goes through Expand and Concat into the first block."""
    network, batch = make_example("vit"), make_images("vit", 3)
    with torch.no_grad():
        network.class_token.normal_()
    path = tmp_path / "model.onnx"
    export_example(network, batch, exporter, path)
    lowered = lower(path)
    assert "class_token" in lowered.parameter_of
    lowered.module(batch).square().sum().backward()
    gradient = lowered.parameter_of["class_token"].grad
    network(batch).square().sum().backward()
    assert gradient is not None
    torch.testing.assert_close(gradient, network.class_token.grad, rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_a_difference_from_onnxruntime_is_refused(tmp_path: Path) -> None:
    network, batch = make_example("mlp"), make_images("mlp", 3)
    path = tmp_path / "model.onnx"
    export_example(network, batch, "legacy-17", path)
    lowered = lower(path)
    expected = lowered.module(batch).detach().numpy()
    assert check_parity(lowered.module, batch.numpy(), expected, 1e-3, lambda: "here") == 0.0
    with pytest.raises(UnsupportedModelError, match="differs from ONNX Runtime"):
        check_parity(lowered.module, batch.numpy(), expected * 1.01, 1e-3, lambda: "here")
    with pytest.raises(UnsupportedModelError, match="differs from ONNX Runtime"):
        check_parity(lowered.module, batch.numpy(), expected * np.nan, 1e-3, lambda: "here")
