"""Messages name the node that is in the way, and a remedy that works."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.validation.operators import read_declarations
from nhle_onnx.hints import word
from nhle_onnx.lowering.weights import check_operators
from nhle_onnx.values.model import OnnxModel
from support.graphs import MICROSOFT, make_model, make_node

WEIGHT = np.ones((4, 3), np.float32)
PACKED = {"K": 32, "N": 4, "block_size": 32, "quant_type": 1}
PLAIN = {AttributeProto.INT: 1, AttributeProto.FLOAT: 1.0, AttributeProto.INTS: [1]}


def save(folder: Path, model: ModelProto) -> OnnxModel:
    onnx.save(model, folder / "model.onnx")
    return load_model(folder / "model.onnx")


def complete(node: NodeProto) -> NodeProto:
    """Add the inputs and attributes without which ONNX Runtime would not take the node."""
    declared = read_declarations()[node.domain, node.op_type]
    node.input.extend([node.input[0]] * (declared.least - len(node.input)))
    for name in sorted(declared.required - {each.name for each in node.attribute}):
        kind = declared.attributes[name]
        node.attribute.append(helper.make_attribute(name, PLAIN[kind]))
    return node


def pack_head() -> ModelProto:
    node = make_node("MatMulBnb4", "x q s", domain=MICROSOFT, **PACKED)
    tensors = {"q": np.zeros((4, 1, 16), np.uint8), "s": np.ones(4, np.float32)}
    return make_model([node], {"x": ["n", 32]}, {"y": ["n", 4]}, tensors)


def hide_scores(operator: str = "Sin") -> ModelProto:
    """Numbers added to what a function gave, through a Cast."""
    nodes = [
        make_node("MatMul", "x w", "z"),
        make_node(operator, "z", "h"),
        make_node("Cast", "h", "c", to=TensorProto.FLOAT),
        make_node("Add", "c b", "y"),
    ]
    tensors = {"w": WEIGHT, "b": np.arange(3, dtype=np.float32)}
    return make_model(nodes, {"x": ["n", 4]}, {"y": ["n", 3]}, tensors)


def read_text() -> ModelProto:
    nodes = [make_node("MatMul", "x w", "z"), make_node("Reshape", "z s", "y")]
    tensors = {"w": np.ones((4, 12), np.float32), "s": np.array([-1, 3, 4])}
    return make_model(nodes, {"x": ["n", 4]}, {"y": ["n", 3, 4]}, tensors)


def name_nodes(model: ModelProto) -> ModelProto:
    for index, node in enumerate(model.graph.node):
        node.name = f"/node_{index}"
    return model


@pytest.mark.parametrize(
    ("model", "reason", "remedy"),
    [
        (pack_head(), "the MatMulBnb4 that computes y", "packed by a quantizer"),
        (name_nodes(pack_head()), "MatMulBnb4 /node_0", "packed by a quantizer"),
        (hide_scores(), "the Sin that computes h", "scores of classes"),
        (name_nodes(hide_scores()), "Sin /node_1", "scores of classes"),
        (hide_scores("Hardmax"), "the Add that computes y, which favours", "scores of classes"),
        (name_nodes(hide_scores("Hardmax")), "Add /node_3, which favours", "scores of classes"),
        (read_text(), "the MatMul that computes z leads to 3 x 4 scores", "scores of classes"),
    ],
)
def test_heads_in_the_way(model: ModelProto, reason: str, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        find_head(save(tmp_path, model))
    assert reason in caught.value.reason
    assert remedy in caught.value.remedy
    assert "fused" not in caught.value.remedy


@pytest.mark.parametrize(
    ("op_type", "remedy"),
    [
        ("BiasSplitGelu", "fused by ONNX Runtime"),
        ("DynamicQuantizeLSTM", "fused by ONNX Runtime"),
        ("DynamicQuantizeMatMul", "fused by ONNX Runtime"),
        ("QAttention", "fused by ONNX Runtime"),
        ("QLinearWhere", "fused by ONNX Runtime"),
        ("GatherBlockQuantized", "packed by a quantizer"),
        ("MatMulBnb4", "packed by a quantizer"),
    ],
)
def test_operators_in_the_way_of_training_alone(op_type: str, remedy: str, tmp_path: Path) -> None:
    """The head needs none of them: `cwm` works, and is offered."""
    node = complete(make_node(op_type, "x", "h", domain=MICROSOFT))
    model = make_model(
        [node, make_node("MatMul", "h w", "y")], {"x": ["n", 4]}, {"y": ["n", 3]}, {"w": WEIGHT}
    )
    with pytest.raises(UnsupportedModelError) as caught:
        check_operators(save(tmp_path, model), "y")
    shown = word(caught.value.remedy, "flags")
    assert remedy in shown
    assert "--method cwm" in shown
    assert f"first at the {op_type} that computes h" in caught.value.reason


def test_a_supported_operator_of_onnx_runtime_is_not_blamed(tmp_path: Path) -> None:
    nodes = [
        make_node("QuantizeLinear", "x s", "q", domain=MICROSOFT),
        make_node("DequantizeLinear", "q s", "d", domain=MICROSOFT),
        make_node("Loop", "d", "y"),
    ]
    model = make_model(nodes, {"x": ["n", 4]}, {"y": ["n", 4]}, {"s": np.float32([1])[0]})
    with pytest.raises(UnsupportedModelError) as caught:
        check_operators(OnnxModel(path=tmp_path, proto=model, sha256="", size_bytes=0), "y")
    assert word(caught.value.remedy, "flags") == "Use --method cwm to edit the head alone."


def test_two_heads_without_names_are_two(tmp_path: Path) -> None:
    nodes = [make_node("MatMul", "x w", "y"), make_node("MatMul", "x v", "z")]
    tensors = {"w": WEIGHT, "v": WEIGHT + 1}
    outputs = {"y": ["n", 3], "z": ["n", 3]}
    model = save(tmp_path, make_model(nodes, {"x": ["n", 4]}, outputs, tensors))
    assert find_head(model, output="z").weight == "v"
    with pytest.raises(Exception, match="several classifier heads, at the outputs y, z"):
        find_head(model)
