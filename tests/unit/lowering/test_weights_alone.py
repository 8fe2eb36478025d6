"""Products of floats and quantized weights against ONNX Runtime, which rounds the floats, too."""

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import NodeProto

from nhle_onnx.runtime.rounded_inputs import find_rounded_inputs
from support.graphs import MICROSOFT, make_node
from support.quantized_nets import (
    INT4,
    INT8,
    INT16,
    UINT4,
    UINT8,
    Kind,
    Net,
    draw_numbers,
    draw_reals,
    make_grid,
    make_scale,
    spell,
)
from support.quantized_runs import (
    assert_same_reals,
    lower,
    make_and_run,
    open_session,
    run_both,
    run_module,
)

pytestmark = pytest.mark.usefixtures("one_thread")

INPUTS, OUTPUTS = 70, 5  # no whole number of blocks
BIAS = draw_reals(OUTPUTS)


def make_net(
    product: str = "MatMul",
    kind: Kind = INT8,
    *,
    count: int = 0,
    behind: tuple[NodeProto, ...] = (),
    bias: np.ndarray | None = None,
    domain: str = "",
    opset: int = 21,
    axis: int = 1,
    **attributes: Any,  # noqa: ANN401 - ONNX attributes vary
) -> Net:
    """A weight, by tensor or with `count` scales along `axis`, and a product of the input by it."""
    weight = draw_numbers(kind, INPUTS, OUTPUTS, seed=1)
    grid = {**make_grid("w", kind, 0.01, count), "w": weight}
    along = {"axis": axis} if opset > 10 and not domain else {}
    name = "product" if behind else "y"
    nodes = [
        make_node("DequantizeLinear", spell("w"), "weight", domain=domain, **along),
        make_node(product, "x weight" + " bias" * (bias is not None), name, **attributes),
        *behind,
    ]
    return Net(nodes, grid if bias is None else {**grid, "bias": bias}, opset)


def turn(net: Net) -> Net:
    """The weight is stored as torch has it, a row an output."""
    read, multiply = net.nodes
    read.output[0] = "turned"
    nodes = [read, make_node("Transpose", "turned", "weight", perm=[1, 0]), multiply]
    return Net(nodes, net.constants, net.opset).with_constants(
        w=draw_numbers(INT8, OUTPUTS, INPUTS)
    )


TWICE = (make_node("Neg", "weight", "other"), make_node("MatMul", "x other", "more"))
ROUNDED = {
    "by tensor": make_net(),
    "by column": make_net(count=OUTPUTS),
    "uint8": make_net(kind=UINT8),
    "int4": make_net(kind=INT4, count=OUTPUTS),
    "uint4": make_net(kind=UINT4),
    "opset 10": make_net(opset=10),
    "opset 13": make_net(count=OUTPUTS, opset=13),
    "of Microsoft": make_net(domain=MICROSOFT),
    "with an Add": make_net(behind=(make_node("Add", "product shift"),)).with_constants(shift=BIAS),
    "Gemm": make_net("Gemm", beta=2.0),
    "Gemm with a bias": make_net("Gemm", count=OUTPUTS, bias=BIAS),
    "turned": turn(make_net()),
    "turned, by output": turn(make_net(count=OUTPUTS, axis=0)),
}
AS_WRITTEN = {
    "by row": make_net(count=INPUTS, axis=0),
    "by column, counted from the end": make_net(count=OUTPUTS, axis=-1),
    "one scale in a list": make_net().with_constants(
        w_scale=make_scale(0.01, 1), w_zero=np.zeros(1, INT8)
    ),
    "16 bits": make_net(kind=INT16),
    "transposed": make_net("Gemm", count=OUTPUTS, axis=0, transB=1).with_constants(
        w=draw_numbers(INT8, OUTPUTS, INPUTS)
    ),
    "scaled": make_net("Gemm", alpha=2.0),
    "with a scaled bias": make_net("Gemm", bias=BIAS, beta=2.0),
    "with a bias of two axes": make_net("Gemm", bias=BIAS[None]),
    "read twice": make_net(behind=(*TWICE, make_node("Sub", "product more"))),
}


@pytest.mark.parametrize("block", [0, 32])
@pytest.mark.parametrize("between", ["", "Relu", "HardSwish"])
def test_one_after_another_gives_the_same_reals(between: str, block: int) -> None:
    """Of such a chain ONNX Runtime makes other kernels than of each layer by itself."""
    constants: dict[str, np.ndarray] = {}
    nodes: list[NodeProto] = []
    along = {"axis": 0, "block_size": block} if block else {}
    source = "x"
    for name in "uvw":
        grid = make_grid(name, INT8, 0.01, 2 * 64 if block else 0)
        shape = (2, 64) if block else ()
        constants |= {key: array.reshape(shape) for key, array in grid.items()}
        constants |= {name: draw_numbers(INT8, 64, 64, seed=1), f"{name}_bias": draw_reals(64)}
        nodes += [
            make_node("DequantizeLinear", spell(name), f"{name}_real", **along),
            make_node("MatMul", f"{source} {name}_real", f"{name}_product"),
            make_node("Add", f"{name}_product {name}_bias", f"{name}_sum"),
        ]
        source = f"{name}_sum"
        if between and name != "w":
            nodes.append(make_node(between, source, f"{name}_between"))
            source = f"{name}_between"
    nodes[-1].output[0] = "y"
    assert_same_reals(Net(nodes, constants), draw_reals(40, 64) / 8)


@pytest.mark.parametrize("net", ROUNDED.values(), ids=ROUNDED)
def test_rounded_inputs_give_the_same_reals(net: Net) -> None:
    x = draw_reals(40, INPUTS)
    assert [*find_rounded_inputs(make_and_run(net, x)[0]).values()] == [32]
    assert_same_reals(net, x)


@pytest.mark.parametrize("net", AS_WRITTEN.values(), ids=AS_WRITTEN)
def test_inputs_that_are_not_rounded_give_the_same_reals(net: Net) -> None:
    x = draw_reals(40, INPUTS)
    assert not find_rounded_inputs(make_and_run(net, x)[0])
    assert_same_reals(net, x)


@pytest.mark.parametrize("shape", [(INPUTS,), (3, 4, INPUTS), (1, INPUTS)], ids=str)
def test_of_any_shape_gives_the_same_reals(shape: tuple[int, ...]) -> None:
    assert_same_reals(ROUNDED["by tensor"], draw_reals(*shape))


def test_blocks_of_zeros_or_of_tiny_numbers_give_the_same_reals() -> None:
    """Steps of the latter are too small for a float."""
    x = draw_reals(40, INPUTS)
    x[:10, :32], x[5:20, 32:64] = 0, 1e-38
    assert_same_reals(ROUNDED["by tensor"], x)


def test_between_quantizers_rounds_nothing_more() -> None:
    behind = (make_node("QuantizeLinear", "product z_scale z_zero"),)
    grid = make_grid("z", INT8, 0.05)
    expected, computed = run_both(
        make_net(behind=behind).with_constants(**grid), draw_reals(40, 70)
    )
    np.testing.assert_array_equal(computed, expected)


def test_a_weight_that_callers_may_replace_is_no_constant() -> None:
    model, _ = make_and_run(ROUNDED["by tensor"], x := draw_reals(40, INPUTS))
    shape = (INPUTS, OUTPUTS)
    model.graph.input.append(onnx.helper.make_tensor_value_info("w", onnx.TensorProto.INT8, shape))
    expected = open_session(model).run(None, {"x": x})[0]
    computed = run_module(lower(model), x)
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-6 * abs(expected).max())


def test_gradients_pass_as_if_nothing_were_rounded() -> None:
    model, _ = make_and_run(ROUNDED["by tensor"], draw_reals(40, INPUTS))
    module = lower(model).module
    x = torch.from_numpy(draw_reals(40, INPUTS)).requires_grad_()
    module(x).sum().backward()
    assert x.grad is not None
    weight = (draw_numbers(INT8, INPUTS, OUTPUTS, seed=1).astype(np.float32) + 9) * 0.01
    np.testing.assert_allclose(x.grad[0], weight.sum(1), rtol=1e-5, atol=1e-5)
