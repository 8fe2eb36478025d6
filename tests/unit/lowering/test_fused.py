"""What ONNX Runtime fuses, against ONNX Runtime itself; and whole networks that it optimised."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnxruntime.transformers.optimizer import optimize_model

from architectures.vit import VisionTransformer
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.lowering.module import lower_model
from nhle_onnx.lowering.weights import list_weights
from nhle_onnx.values.model import OnnxModel
from support.graphs import MICROSOFT, Array, keep_used, make_model, make_node, run_model

RNG = np.random.default_rng(0)
TOKENS, WIDTH, HEADS = 5, 8, 2


def draw(*shape: int) -> Array:
    values: Array = RNG.normal(size=shape).astype(np.float32)
    return values


def compare(op_type: str, inputs: str, x: Array, tensors: dict[str, Array], **more: Any) -> None:  # noqa: ANN401 - ONNX attributes vary
    node = make_node(op_type, inputs, domain=MICROSOFT, **more)
    proto = make_model([node], {"x": x}, {"y": None}, tensors)
    model = OnnxModel(path=Path("m"), proto=proto, sha256="", size_bytes=0)
    lowered = lower_model(model, source="x", output="y")
    (expected,) = run_model(proto, x)
    np.testing.assert_allclose(
        lowered.module(torch.from_numpy(x)).detach().numpy(), expected, atol=2e-5
    )
    assert list(lowered.parameter_of) == [name for name in inputs.split() if name in tensors]


TOKEN = draw(2, TOKENS, WIDTH)
VECTORS = {"g": draw(WIDTH), "h": draw(WIDTH), "b": draw(WIDTH)}


@pytest.mark.parametrize(
    ("op_type", "inputs", "more"),
    [
        ("Gelu", "x", {}),
        ("BiasGelu", "x b", {}),
        ("FastGelu", "x", {}),
        ("FastGelu", "x b", {}),
        ("QuickGelu", "x", {}),
        ("QuickGelu", "x", {"alpha": 1.0}),
        ("SkipLayerNormalization", "x x g h", {"epsilon": 1e-6}),
        ("SkipLayerNormalization", "x x g h b", {}),
    ],
)
def test_activations_and_norms(op_type: str, inputs: str, more: dict[str, float]) -> None:
    kept = {name: VECTORS[name] for name in inputs.split() if name in VECTORS}
    compare(op_type, inputs, TOKEN, kept, **more)


@pytest.mark.parametrize("activation", ["", "Relu", "Tanh", "Sigmoid", "LeakyRelu", "Clip"])
def test_convolutions_with_an_activation(activation: str) -> None:
    factors = {"LeakyRelu": [0.1], "Clip": [-0.5, 0.5]}.get(activation)
    more: dict[str, Any] = {"activation": activation} if activation else {}
    more |= {"activation_params": factors} if factors else {}
    tensors = {"w": draw(4, 3, 3, 3), "b": draw(4)}
    compare("FusedConv", "x w b", draw(2, 3, 6, 6), tensors, **more)


@pytest.mark.parametrize(("of_x", "of_w"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_products_of_transposed_operands(of_x: int, of_w: int) -> None:
    x, w = draw(2, WIDTH, WIDTH), draw(WIDTH, WIDTH)
    compare("FusedMatMul", "x w", x, {"w": w}, transA=of_x, transB=of_w, alpha=0.5)


def test_a_gemm_with_an_activation() -> None:
    tensors = {"w": draw(WIDTH, 3), "b": draw(3)}
    compare("FusedGemm", "x w b", draw(2, WIDTH), tensors, activation="Relu")


@pytest.mark.parametrize("more", [{}, {"scale": 0.2}, {"unidirectional": 1}])
def test_attention(more: dict[str, float]) -> None:
    tensors = {"w": draw(WIDTH, 3 * WIDTH), "b": draw(3 * WIDTH)}
    compare("Attention", "x w b", TOKEN, tensors, num_heads=HEADS, **more)


@pytest.mark.parametrize("inputs", ["x x x", "x x x b"])
def test_attention_in_parts(inputs: str) -> None:
    tensors = {"b": draw(3 * WIDTH)} if "b" in inputs else {}
    compare("MultiHeadAttention", inputs, TOKEN, tensors, num_heads=HEADS)


@pytest.mark.parametrize(
    ("op_type", "inputs", "more", "reason"),
    [
        ("Attention", "x w b m", {"num_heads": HEADS}, "with a mask"),
        ("MultiHeadAttention", "x x x b m", {"num_heads": HEADS}, "with a mask or a cache"),
        ("MultiHeadAttention", "packed", {"num_heads": HEADS}, "with packed inputs"),
        ("FusedGemm", "x w", {"activation": "Softplus"}, "with the activation Softplus"),
        ("FusedGemm", "x w", {"activation": "LeakyRelu"}, "with the activation LeakyRelu"),
        ("FusedMatMul", "x w", {"transBatchA": 1}, "with transposed batches"),
    ],
)
def test_what_is_not_lowered_is_named(
    op_type: str, inputs: str, more: dict[str, Any], reason: str
) -> None:
    tensors = {"w": draw(WIDTH, 3 * WIDTH), "b": draw(3 * WIDTH), "m": np.ones(2, np.int32)}
    named = inputs.replace("packed", "x - -")
    node = make_node(op_type, named, domain=MICROSOFT, **more)
    proto = make_model([node], {"x": TOKEN}, {"y": None}, keep_used(tensors, [node]))
    model = OnnxModel(path=Path("m"), proto=proto, sha256="", size_bytes=0)
    with pytest.raises(UnsupportedModelError, match=reason):
        lower_model(model, source="x", output="y")


def test_a_transformer_that_was_optimised(tmp_path: Path) -> None:
    """As optimum-cli does with -O2: attention, norms and activations are fused."""
    torch.manual_seed(0)
    network = VisionTransformer(
        num_classes=10, image_size=16, patch_size=8, dim=16, depth=2, heads=2
    )
    path = tmp_path / "model.onnx"
    torch.onnx.export(
        network.eval(), (torch.zeros(2, 3, 16, 16),), path, dynamo=False, opset_version=17,
        input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
    )  # fmt: skip
    fused = optimize_model(str(path), "vit", num_heads=2, hidden_size=16, opt_level=1).model
    kinds = {node.op_type for node in fused.graph.node if node.domain == MICROSOFT}
    assert kinds & {"SkipLayerNormalization", "Attention", "BiasGelu", "Gelu"}
    model = OnnxModel(path=path, proto=fused, sha256="", size_bytes=0)
    lowered = lower_model(model, source="x", output="y")
    x = draw(4, 3, 16, 16)
    (expected,) = run_model(fused, x)
    np.testing.assert_allclose(
        lowered.module(torch.from_numpy(x)).detach().numpy(), expected, atol=1e-4
    )
    assert len(list_weights(fused, 17, "y")) > 20
    lowered.module(torch.from_numpy(x)).square().sum().backward()
    unused = [name for name, weight in lowered.parameter_of.items() if weight.grad is None]
    assert not unused
