"""What torch computes as one step, compared with ONNX Runtime and with the same steps in turn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn

from nhle_onnx.lowering.module import lower_model, lower_tensors
from nhle_onnx.lowering.ops.attention import attend_at_once, attend_in_steps
from nhle_onnx.values.model import OnnxModel
from support.graphs import Array, keep_used, make_model, make_node, run_model

RNG = np.random.default_rng(0)
BATCH, HEADS, TOKENS, WIDTH, LAST = 2, 3, 5, 4, 6


def draw(*shape: int) -> Array:
    values: Array = RNG.normal(size=shape).astype(np.float32)
    return values


def make_mask() -> Array:
    mask = np.where(RNG.random((TOKENS, TOKENS)) < 0.3, -np.inf, 0).astype(np.float32)
    np.fill_diagonal(mask, 0)  # a row of which all is hidden has no softmax
    return mask


INPUT = draw(BATCH, HEADS, TOKENS, WIDTH)
NUMBERS = {"0.3": 0.3, "3": 3, "1": 1, "2": 2, "0.5": 0.5, "√2": 2**0.5, "√½": 0.5**0.5, "0": 0}
NUMBERS |= {"cubic": 0.044715, "√2/π": (2 / np.pi) ** 0.5}
TENSORS: dict[str, Array] = {
    **{name: np.float32(value) for name, value in NUMBERS.items()},
    "divisor": np.array([[3]], np.float32),
    "by_key": draw(1, HEADS, 1, WIDTH),
    "by_value": draw(WIDTH, LAST),
    "by_head": draw(HEADS, 1, 1),
    "by_query": draw(TOKENS, 1),
    "mask": make_mask(),
    "row": draw(TOKENS),
    "table": draw(1, HEADS, TOKENS, TOKENS),
    "larger": draw(2, 1, HEADS, TOKENS, TOKENS),
    "matrix": draw(WIDTH, LAST),
    "vector": draw(LAST),
    "rows": draw(TOKENS, LAST),
    "place": np.array([1]),
    "two_ints": np.array([2]),
    "first": np.array([-1]),
    "merged": np.array([-1, TOKENS, WIDTH]),
}
BEFORE = ["Mul x by_key k", "Transpose k kt", "MatMul x by_value v"]
SCALES = [
    [],
    ["Mul s 0.3 s"],
    ["Mul 0.3 s s"],
    ["Div s divisor s"],
    ["Mul s by_head s"],
    ["Mul s 0.3 s", "Div s 3 s"],
    ["Cast s s", "Mul s 0.3 s"],
]
MASKS = [
    [],
    ["Add s mask s"],
    ["Add mask s s"],
    ["Add s row s"],
    ["Add s table s", "Add s mask s"],
    ["Add table s s"],
]
AFTER = [[], ["Cast w w"], ["Identity w w"], ["Dropout w w"]]
APART = {
    "the scale follows the mask": ["Add s mask s", "Mul s 0.3 s"],
    "each query has its own scale": ["Mul s by_query s"],
    "a larger mask": ["Add s larger s"],
    "nothing is divided": ["Div 3 s s"],
}


def make_graph(
    lines: Sequence[str], opset: int = 17, axis: int = -1, perm: Sequence[int] = (0, 1, 3, 2)
) -> OnnxModel:
    """From lines of an operator, its inputs and its output; a name that comes again is renamed."""
    newest: dict[str, str] = {}
    nodes = []
    for index, line in enumerate(lines):
        op_type, *inputs, output = line.split()
        more = {
            "Transpose": {"perm": perm},
            "Softmax": {"axis": axis},
            "Concat": {"axis": 0},
            "Cast": {"to": 1},
        }.get(op_type, {})
        names = " ".join(newest.get(name, name) for name in inputs)
        newest[output] = output if output == "y" else f"{output}{index}"
        nodes.append(make_node(op_type, names, newest[output], **more))
    proto = make_model(nodes, {"x": INPUT}, {"y": None}, keep_used(TENSORS, nodes), opset)
    return OnnxModel(path=Path("m"), proto=proto, sha256="", size_bytes=0)


def list_functions(module: nn.Module) -> set[str]:
    assert isinstance(module, fx.GraphModule)
    return {getattr(node.target, "__name__", str(node.target)) for node in module.graph.nodes}


def learn(module: nn.Module, *, takes_first: bool) -> list[Tensor]:
    """Return what a module computes, and the gradients of its input and its parameters."""
    images = torch.from_numpy(INPUT).requires_grad_()
    result = module(images)[0] if takes_first else module(images)
    result.square().sum().backward()
    learned = (images, *dict(sorted(module.named_parameters())).values())
    return [result.detach(), *(each.grad for each in learned if each.grad is not None)]


def check(model: OnnxModel, function: str | None) -> None:
    """Lowered, the graph has this step, or none that is fused, and computes and learns the same."""
    module = lower_model(model, source="x", output="y").module
    (expected,) = run_model(model.proto, INPUT)
    names = [name for node in model.proto.graph.node for name in node.output]
    in_turn = lower_tensors(model, source="x", outputs=["y", *names]).module
    found = list_functions(module) - list_functions(in_turn)
    assert found == ({function} if function else set())
    ours, theirs = learn(module, takes_first=False), learn(in_turn, takes_first=True)
    np.testing.assert_allclose(ours[0], expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    scale=st.sampled_from(SCALES),
    mask=st.sampled_from(MASKS),
    after=st.sampled_from(AFTER),
    form=st.sampled_from([(11, 3), (13, -1), (13, 3), (17, -1)]),
)
def test_attention_in_parts(
    scale: list[str], mask: list[str], after: list[str], form: tuple[int, int]
) -> None:
    lines = [*BEFORE, "MatMul x kt s", *scale, *mask, "Softmax s w", *after, "MatMul w v y"]
    check(make_graph(lines, *form), "mix_values")


@pytest.mark.parametrize("lines", APART.values(), ids=APART)
def test_attention_in_another_form(lines: list[str]) -> None:
    model = make_graph([*BEFORE, "MatMul x kt s", *lines, "Softmax s w", "MatMul w v y"])
    (expected,) = run_model(model.proto, INPUT)
    computed = lower_model(model, source="x", output="y").module(torch.from_numpy(INPUT))
    np.testing.assert_allclose(computed.detach(), expected, rtol=1e-5, atol=1e-5)


def test_attention_over_another_axis() -> None:
    lines = [*BEFORE, "MatMul x kt s", "Softmax s w", "MatMul w v y"]
    check(make_graph(lines, axis=2), "mix_values")


def test_a_mask_with_one_axis_is_no_bias() -> None:
    lines = [*BEFORE, "MatMul x kt s", "Add s row s", "Softmax s w", "MatMul w v y"]
    check(make_graph(lines), "mix_values")


def test_attention_whose_probabilities_are_read() -> None:
    lines = [*BEFORE, "MatMul x kt s", "Softmax s w", "MatMul w v m", "ReduceSum w t", "Add m t y"]
    check(make_graph(lines), None)


def test_attention_with_heads_merged() -> None:
    lines = ["Reshape x merged x", "Transpose x kt", "MatMul x by_value v", "MatMul x kt s"]
    lines += ["Mul s 0.3 s", "Add s mask s", "Softmax s w", "MatMul w v y"]
    check(make_graph(lines, perm=(0, 2, 1)), "mix_values")


@pytest.mark.parametrize("scale", [None, 0.2])
@pytest.mark.parametrize("heads", [HEADS, 1])
def test_attention_in_steps_as_at_once(scale: float | None, heads: int) -> None:
    query, key = (torch.from_numpy(draw(2, count, TOKENS, WIDTH)) for count in (HEADS, heads))
    given = (query, key, key + 1, torch.from_numpy(TENSORS["mask"]), scale)
    torch.testing.assert_close(attend_in_steps(*given), attend_at_once(*given))


@pytest.mark.parametrize(
    "lines",
    [
        ["Div x √2 a", "Erf a a", "Add a 1 a", "Mul x a a", "Mul a 0.5 y"],
        ["Div x √2 a", "Erf a a", "Add a 1 a", "Mul 0.5 a a", "Mul x a y"],
        ["Mul x √½ a", "Erf a a", "Add 1 a a", "Mul x 0.5 b", "Mul b a y"],
        ["Mul √½ x a", "Erf a a", "Add 1 a a", "Div a 2 a", "Mul a x y"],
    ],
)
def test_gelu_in_parts(lines: list[str]) -> None:
    check(make_graph(lines), "gelu")


@pytest.mark.parametrize(
    "lines",
    [
        ["Pow x 3 b", "Mul cubic b b", "Add x b b", "Mul √2/π b b"],
        ["Mul x x b", "Mul x b b", "Mul b cubic b", "Add b x b", "Mul b √2/π b"],
        ["Mul cubic x b", "Mul b x b", "Add b 1 b", "Mul x √2/π c", "Mul c b b"],
    ],
)
def test_gelu_by_tanh_in_parts(lines: list[str]) -> None:
    rest = ["Tanh b b", "Add b 1 b", "Mul 0.5 x h", "Mul h b y"]
    check(make_graph([*lines, *rest]), "gelu_by_tanh")


@pytest.mark.parametrize(
    "lines",
    [
        ["Div x √2 a", "Erf a a", "Add a 1 a", "Mul x a a", "Mul a 2 y"],
        ["Div x √2 a", "Erf a a", "Add a 2 a", "Mul x a a", "Mul a 0.5 y"],
        ["Div x 2 a", "Erf a a", "Add a 1 a", "Mul x a a", "Mul a 0.5 y"],
        ["Div √2 x a", "Erf a a", "Add a 1 a", "Mul x a a", "Mul a 0.5 y"],
        ["Div x √2 a", "Erf a a", "Add a x a", "Mul x a a", "Mul a 0.5 y"],
        ["Pow x 2 b", "Add x b b", "Tanh b b", "Add b 1 b", "Mul 0.5 x h", "Mul h b y"],
        ["Sigmoid x a", "Mul a a y"],
        ["Mul x 2 a", "Sigmoid a a", "Mul x a y"],
        ["MatMul x matrix a", "Add a rows y"],
        ["MatMul x matrix a", "Sub a vector y"],
    ],
)
def test_what_only_looks_alike(lines: list[str]) -> None:
    check(make_graph(lines), None)


@pytest.mark.parametrize("lines", [["Sigmoid x a", "Mul x a y"], ["Sigmoid x a", "Mul a x y"]])
def test_silu_in_parts(lines: list[str]) -> None:
    check(make_graph(lines), "silu")


@pytest.mark.parametrize("end", ["Add a vector y", "Add vector a y"])
def test_a_product_and_its_bias(end: str) -> None:
    check(make_graph(["MatMul x matrix a", end]), "project")


def test_a_product_of_computed_factors_and_a_bias() -> None:
    check(make_graph(["Transpose x k", "MatMul x k a", "Add a row y"]), "project")


def test_no_shape_is_read_from_the_device() -> None:
    """On torch's device `meta` nothing can be read, and only shapes are computed."""
    lines = ["Shape x n", "Gather n place t", "Div t two_ints h", "Sub t h r", "Concat first h r m"]
    lines += ["Reshape x m x", "Cast t f", "Sqrt f f", "Mul x f x", "ConstantOfShape n z"]
    lines += ["ReduceSum z z", "Add x z y"]
    model = make_graph(lines)
    module = lower_model(model, source="x", output="y").module
    (expected,) = run_model(model.proto, INPUT)
    images = torch.from_numpy(INPUT)
    np.testing.assert_allclose(module(images), expected, rtol=1e-5)
    assert module.to("meta")(images.to("meta")).shape == expected.shape
