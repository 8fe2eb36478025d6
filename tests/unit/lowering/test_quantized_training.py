"""Which quantized weights are trained, their gradients, and what ONNX Runtime then reads."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from onnxruntime.quantization import quantize_dynamic
from torch import Tensor

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.packed import pack
from nhle_onnx.graph.tensors import replace_tensors
from support.graphs import MICROSOFT, make_node
from support.quantized_layers import (
    IDENTITIES,
    make_blocked_layer,
    make_dynamic_layer,
    make_identity,
    make_layer,
)
from support.quantized_nets import (
    BYTES,
    DYNAMIC_ROUND_TRIP,
    INT4,
    INT8,
    KINDS,
    SCALES,
    UINT8,
    ZEROS,
    Attributes,
    Kind,
    Net,
    draw_bias,
    draw_numbers,
    draw_reals,
    draw_weight,
    get_limits,
    make_product,
    make_round_trip,
    make_unary,
    spell,
)
from support.quantized_runs import (
    assert_within_one_step,
    lower,
    make_and_run,
    open_session,
    run_module,
)

pytestmark = pytest.mark.usefixtures("one_thread")
RNG = np.random.default_rng(5)


def differentiate(net: Net, x: np.ndarray, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """The gradient, for the inputs, of the outputs' weighted sum."""
    inputs = torch.from_numpy(x.astype(np.float32)).requires_grad_()
    outputs = lower(make_and_run(net, x)[0]).module(inputs)
    (outputs * torch.as_tensor(weights)).sum().backward()
    assert inputs.grad is not None
    gradients: np.ndarray = inputs.grad.numpy()
    return gradients


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_gradients_pass_straight_through_the_range(kind: Kind) -> None:
    low, high = get_limits(kind)
    net = make_round_trip(kind)
    numbers = np.arange(low - 3, high + 4)
    reals = (numbers - ZEROS[kind] + 0.25) * net.constants["q_scale"]
    gradients = differentiate(net, reals.astype(np.float32).reshape(-1, 1))
    is_within = (numbers >= low) & (numbers <= high)
    np.testing.assert_allclose(gradients.ravel(), is_within, rtol=1e-6)


def test_gradients_pass_a_range_found_at_run_time() -> None:
    np.testing.assert_allclose(differentiate(DYNAMIC_ROUND_TRIP, draw_reals(40)), 1.0, rtol=1e-5)


@pytest.mark.parametrize("kind", BYTES, ids=str)
@pytest.mark.parametrize("op_type", IDENTITIES)
def test_no_gradient_passes_a_kernel_that_saturates(op_type: str, kind: Kind) -> None:
    net, x = make_identity(op_type, kind, 2.0)
    numbers = 2 * (x.astype(int) - ZEROS[kind]) + ZEROS[kind]
    low, high = get_limits(kind)
    expected = np.where((numbers >= low) & (numbers <= high), 2.0, 0.0)
    np.testing.assert_array_equal(differentiate(net, x), expected)


@pytest.mark.parametrize(
    ("op_type", "compute", "attributes"),
    [
        ("QLinearSigmoid", torch.sigmoid, {}),
        ("QLinearSoftmax", partial(torch.softmax, dim=1), {"opset": 13, "axis": 1}),
    ],
)
def test_gradients_of_a_table_are_those_of_its_function(
    op_type: str, compute: Callable[[Tensor], Tensor], attributes: Attributes
) -> None:
    net = make_unary(op_type, UINT8, 0.02, 1 / 256, **attributes)
    net = net.with_constants(y_zero=np.zeros((), UINT8))
    x, weights = draw_numbers(UINT8, 6, 5), draw_reals(6, 5)
    inputs = torch.from_numpy(x.astype(np.float32)).requires_grad_()
    real = (inputs - ZEROS[UINT8]) * float(net.constants["x_scale"])
    (compute(real) * 256 * torch.from_numpy(weights)).sum().backward()
    assert inputs.grad is not None
    np.testing.assert_allclose(differentiate(net, x, weights), inputs.grad.numpy(), rtol=1e-4)


def make_kernel(op_type: str, inputs: str, weight: np.ndarray) -> Net:
    constants = make_product(UINT8, weight, SCALES[0]) | {"bias": draw_bias(len(weight))}
    domain = "" if op_type in {"QLinearConv", "QLinearMatMul"} else MICROSOFT
    return Net([make_node(op_type, spell(inputs), domain=domain)], constants)


KERNEL, MATRIX = draw_weight(INT8, 6, 4, 3, 3), draw_weight(INT8, 24, 24)
PIXELS, ROWS = draw_reals(3, 4, 7, 9), draw_reals(40, 24)
NUMBERS = draw_numbers(UINT8, 40, 24)


def make_packed(bits: int, width: int = 80, rows: int = 7, **fields: int) -> tuple[Net, np.ndarray]:
    """A MatMulNBits with blocks of 32, the last not full, and zero points unless it is 2 bits."""
    blocks = -(-width // 32)
    numbers = RNG.integers(0, 2**bits, (rows, width))
    room = np.zeros((rows, blocks, 4 * bits), np.uint8)
    points = RNG.integers(1, 2**bits - 1, (rows, blocks)) if bits > 2 else None
    kept = np.zeros((rows, -(-blocks * bits // 8)), np.uint8)
    constants = {
        "w": pack(numbers, bits, room).astype(np.uint8),
        "s": RNG.uniform(0.01, 0.02, (rows, blocks)).astype(np.float32),
        "bias": RNG.normal(size=rows).astype(np.float32),
    }
    if points is not None:
        constants["p"] = pack(points, bits, kept).astype(np.uint8)
    inputs = ["x", "w", "s", "p" if points is not None else "", "", "bias"]
    sizes = {"N": rows, "K": width, "bits": bits, "block_size": 32}
    node = helper.make_node("MatMulNBits", inputs, ["y"], domain=MICROSOFT, **sizes, **fields)
    return Net([node], constants), draw_reals(40, width)


@pytest.mark.parametrize(
    ("bits", "fields"), [(2, {}), (4, {}), (8, {}), (4, {"accuracy_level": 4})], ids=str
)
def test_packed_numbers_are_trained_and_packed_again(bits: int, fields: dict[str, int]) -> None:
    net, x = make_packed(bits, **fields)
    model, before = make_and_run(net, x)
    lowered = lower(model)
    assert_within_one_step(before, run_module(lowered, x), 1e-4)
    assert lowered.quantized == {"w"}
    lowered.module(torch.from_numpy(x)).square().sum().backward()
    weight = lowered.parameter_of["w"]
    assert weight.shape == (7, 80)
    assert weight.grad is not None
    assert weight.grad.count_nonzero() > weight.numel() / 2
    with torch.no_grad():
        weight += torch.from_numpy(RNG.uniform(-2, 2, weight.shape).astype(np.float32))
    replace_tensors(model, lowered.read_tensors(["w"]))
    expected = open_session(model).run(None, {"x": x})[0]
    assert (expected != before).any()
    assert_within_one_step(expected, run_module(lowered, x), 1e-4)


def test_packed_numbers_may_have_real_zero_points() -> None:
    net, x = make_packed(4)
    net.constants["p"] = RNG.uniform(4, 12, (7, 3)).astype(np.float32)
    model, expected = make_and_run(net, x)
    assert_within_one_step(expected, run_module(lower(model), x), 1e-4)


@pytest.mark.parametrize("change", [{"K": 100}, {"N": 6}, {"block_size": 16}], ids=str)
def test_packed_numbers_that_do_not_fit_are_refused(change: dict[str, int]) -> None:
    net, x = make_packed(4)
    model, _ = make_and_run(net, x)
    (node,) = model.graph.node
    kept = [each for each in node.attribute if each.name not in change]
    del node.attribute[:]
    node.attribute.extend([*kept, *(helper.make_attribute(*each) for each in change.items())])
    with pytest.raises(UnsupportedModelError, match="MatMulNBits with"):
        lower(model)


# A graph, its input, and what is trained in it: quantized numbers, and real ones.
TRAINED: dict[str, tuple[Net, np.ndarray, set[str], set[str]]] = {
    "int8 convolution": (
        make_layer("Conv", {}, KERNEL, UINT8, by_channel=True), PIXELS, {"w", "bias"}, set(),
    ),
    "uint8 dense layer": (
        make_layer("Gemm", {}, draw_weight(UINT8, 24, 7), INT8, 1), ROWS, {"w", "bias"}, set(),
    ),
    "operand": (make_layer("Add", {}, draw_weight(INT8, 24), INT8), ROWS, {"w"}, set()),
    "int4 blocks": (make_blocked_layer(INT4, 24), draw_reals(8, 96), {"w"}, set()),
    "int4 blocks and rounded inputs": (
        make_blocked_layer(INT4, 32), draw_reals(8, 96), {"w"}, set(),
    ),
    "dynamic product": (
        make_dynamic_layer("MatMulInteger", MATRIX, "q_scale w_scale", 24), ROWS, {"w"}, {"bias"},
    ),
    "dynamic convolution": (
        make_dynamic_layer("ConvInteger", KERNEL, "w_scale q_scale"), PIXELS, {"w"}, {"bias"},
    ),
    "QLinearConv": (
        make_kernel("QLinearConv", "x w y bias", KERNEL),
        draw_numbers(UINT8, 3, 4, 7, 9), {"w", "bias"}, set(),
    ),
    "QLinearMatMul": (make_kernel("QLinearMatMul", "x w y", MATRIX), NUMBERS, {"w"}, set()),
    "QGemm": (make_kernel("QGemm", "x w bias y", MATRIX), NUMBERS, {"w", "bias"}, set()),
    "QLinearAdd": (
        make_kernel("QLinearAdd", "x w y", draw_numbers(UINT8, 24, seed=1)), NUMBERS, {"w"}, set(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAINED)
def test_numbers_are_trained_and_their_scales_are_not(name: str) -> None:
    net, x, quantized, real = TRAINED[name]
    lowered = lower(make_and_run(net, x)[0])
    assert lowered.parameter_of.keys() == quantized | real
    assert lowered.quantized == quantized
    assert {id(parameter) for parameter in lowered.module.parameters()} == {
        id(parameter) for parameter in lowered.parameter_of.values()
    }
    lowered.module(torch.from_numpy(x.astype(np.float32))).square().sum().backward()
    for key, parameter in lowered.parameter_of.items():
        np.testing.assert_array_equal(parameter.detach(), net.constants[key].astype(np.float32))
        assert parameter.grad is not None
        assert parameter.grad.count_nonzero()


@pytest.mark.parametrize(
    "name", [name for name, (_, _, quantized, _) in TRAINED.items() if quantized]
)
def test_what_is_trained_is_what_onnxruntime_reads_of_it(name: str) -> None:
    net, x, *_ = TRAINED[name]
    model, before = make_and_run(net, x)
    lowered = lower(model)
    rng = np.random.default_rng(2)
    values = {
        key: parameter.detach().numpy() + rng.uniform(-0.9, 0.9, parameter.shape)
        for key, parameter in lowered.parameter_of.items()
    }
    with torch.no_grad():
        for key, value in values.items():
            lowered.parameter_of[key].copy_(torch.from_numpy(value))
    replace_tensors(model, {key: value.astype(np.float32) for key, value in values.items()})
    expected = open_session(model).run(None, {"x": x})[0]
    assert (expected != before).any()
    step = 1.0 if expected.dtype in BYTES else float(net.constants.get("z_scale", 1e-4))
    assert_within_one_step(expected, run_module(lowered, x), step)


@pytest.mark.parametrize("kind", [INT8, UINT8, INT4], ids=str)
def test_a_weight_beyond_its_type_saturates_without_a_gradient(kind: Kind) -> None:
    net = make_blocked_layer(kind, 24)
    lowered = lower(make_and_run(net, draw_reals(8, 96))[0])
    low, high = get_limits(kind)
    weight = lowered.parameter_of["w"]
    with torch.no_grad():
        weight[0], weight[1] = low - 3.0, high + 3.0
    output = lowered.module(torch.eye(96))
    scales = net.constants["w_scale"][0]
    np.testing.assert_allclose(output[0].detach(), (low - ZEROS[kind]) * scales, rtol=1e-6)
    np.testing.assert_allclose(output[1].detach(), (high - ZEROS[kind]) * scales, rtol=1e-6)
    output.sum().backward()
    assert weight.grad is not None
    assert not weight.grad[:2].any()
    np.testing.assert_allclose(weight.grad[2:24], np.tile(scales, (22, 1)))


def test_one_number_is_no_weight() -> None:
    net = make_kernel("QLinearMul", "x w y", np.full(1, 190, UINT8))
    assert not lower(make_and_run(net, NUMBERS)[0]).parameter_of


def test_weights_of_onnxruntimes_dynamic_quantizer(tmp_path: Path) -> None:
    """It names its tensors after the float ones."""
    constants = {"first": draw_reals(24, 9), "second": draw_reals(9, 7), "bias": draw_reals(9)}
    nodes = [
        make_node("MatMul", "x first", "a"),
        make_node("Add", "a bias", "b"),
        make_node("MatMul", "b second"),
    ]
    model, _ = make_and_run(Net(nodes, constants, opset=17), ROWS)
    onnx.save(model, tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "whole.onnx", per_channel=True)
    lowered = lower(onnx.load(tmp_path / "whole.onnx"))
    assert lowered.quantized == {"first_quantized", "second_quantized"}
    assert lowered.parameter_of.keys() == lowered.quantized | {"bias"}
