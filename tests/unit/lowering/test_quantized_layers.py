"""Layers of whole numbers: sums are exact, and every number is the same as ONNX Runtime's."""

import itertools

import numpy as np
import pytest

from support.graphs import MICROSOFT, make_node
from support.quantized_nets import (
    ALL_PAIRS,
    INT8,
    PAIRS,
    SCALES,
    UINT8,
    UNEVEN,
    Attributes,
    Kind,
    Net,
    draw_bias,
    draw_numbers,
    draw_weight,
    make_product,
    spell,
)
from support.quantized_runs import assert_same, assert_same_sums

pytestmark = pytest.mark.usefixtures("one_thread")

# Attributes, and the shape of the weight for 4 channels.
CONVOLUTIONS: list[tuple[Attributes, tuple[int, ...]]] = [
    ({}, (6, 4, 3, 3)),
    ({"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}, (6, 4, 3, 3)),
    (UNEVEN, (6, 4, 3, 2)),
    ({"group": 2, "dilations": [2, 1]}, (6, 2, 3, 3)),
    ({"group": 4, "pads": [1, 1, 1, 1]}, (4, 1, 3, 3)),
    ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, (6, 4, 3, 3)),
    ({"pads": [1, 1]}, (6, 4, 3)),
]


@pytest.mark.parametrize("scales", SCALES, ids=str)
@pytest.mark.parametrize("by_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize(("attributes", "shape"), CONVOLUTIONS, ids=str)
@pytest.mark.parametrize(("kind", "weight"), PAIRS, ids=str)
def test_convolution_gives_the_same_numbers(
    kind: Kind,
    weight: Kind,
    attributes: Attributes,
    shape: tuple[int, ...],
    by_channel: bool,  # noqa: FBT001
    scales: tuple[float, float],
) -> None:
    count = shape[0] if by_channel else 0
    constants = make_product(kind, draw_weight(weight, *shape), scales, count)
    constants["bias"] = draw_bias(shape[0])
    x = draw_numbers(kind, 2, 4, *(7, 9)[: len(shape) - 2])
    net = Net([make_node("QLinearConv", spell("x w y bias"), **attributes)], constants)
    assert_same(net, x)


@pytest.mark.parametrize("domain", ["", MICROSOFT])
def test_convolution_of_either_domain_needs_no_bias(domain: str) -> None:
    constants = make_product(UINT8, draw_weight(INT8, 6, 4, 3, 3), SCALES[0])
    node = make_node("QLinearConv", spell("x w y"), domain=domain)
    assert_same(Net([node], constants, opset=10), draw_numbers(UINT8, 2, 4, 7, 9))


@pytest.mark.parametrize("zero_points", ["", "x_zero", "x_zero w_zero"])
@pytest.mark.parametrize(("attributes", "shape"), CONVOLUTIONS, ids=str)
@pytest.mark.parametrize(("kind", "weight"), ALL_PAIRS, ids=str)
def test_integer_convolution_gives_the_same_sums(
    kind: Kind,
    weight: Kind,
    attributes: Attributes,
    shape: tuple[int, ...],
    zero_points: str,
) -> None:
    constants = make_product(kind, draw_weight(weight, *shape), SCALES[0])
    node = make_node("ConvInteger", f"x w {zero_points}", **attributes)
    x = draw_numbers(kind, 2, 4, *(7, 9)[: len(shape) - 2])
    assert_same_sums(Net([node], constants), x)


@pytest.mark.parametrize("columns", [0, 7], ids=["tensor", "channel"])
@pytest.mark.parametrize("zero_points", ["", "x_zero", "x_zero w_zero"])
@pytest.mark.parametrize(("kind", "weight"), ALL_PAIRS, ids=str)
def test_integer_product_gives_the_same_sums(
    kind: Kind,
    weight: Kind,
    zero_points: str,
    columns: int,
) -> None:
    constants = make_product(kind, draw_weight(weight, 24, 7), SCALES[0], columns)
    if columns:
        constants["w_zero"] += np.arange(columns).astype(weight)
    net = Net([make_node("MatMulInteger", f"x w {zero_points}")], constants)
    assert_same_sums(net, draw_numbers(kind, 3, 5, 24))


@pytest.mark.parametrize(("kind", "weight"), ALL_PAIRS, ids=str)
def test_integer_product_takes_its_weight_on_the_left(kind: Kind, weight: Kind) -> None:
    constants = make_product(kind, draw_weight(weight, 6, 24), SCALES[0])
    net = Net([make_node("MatMulInteger", "w x w_zero x_zero")], constants)
    assert_same_sums(net, draw_numbers(kind, 24, 5))


@pytest.mark.parametrize("opset", [10, 21])
@pytest.mark.parametrize("scales", SCALES, ids=str)
@pytest.mark.parametrize("columns", [0, 7], ids=["tensor", "channel"])
@pytest.mark.parametrize(("kind", "weight"), PAIRS, ids=str)
def test_product_gives_the_same_numbers(
    kind: Kind,
    weight: Kind,
    columns: int,
    scales: tuple[float, float],
    opset: int,
) -> None:
    constants = make_product(kind, draw_weight(weight, 24, 7), scales, columns)
    node = make_node("QLinearMatMul", spell("x w y"))
    assert_same(Net([node], constants, opset), draw_numbers(kind, 3, 5, 24))


@pytest.mark.parametrize("output", ["", "y"], ids=["real", "whole"])
@pytest.mark.parametrize("bias", ["-", "bias"])
@pytest.mark.parametrize("alpha", [1.0, 0.37])
@pytest.mark.parametrize("transposed", list(itertools.product((0, 1), (0, 1))), ids=str)
@pytest.mark.parametrize("columns", [0, 7], ids=["tensor", "channel"])
@pytest.mark.parametrize(("kind", "weight"), PAIRS, ids=str)
def test_dense_layer_gives_the_same_numbers(
    kind: Kind,
    weight: Kind,
    columns: int,
    transposed: tuple[int, int],
    alpha: float,
    bias: str,
    output: str,
) -> None:
    of_x, of_weight = transposed
    numbers = draw_weight(weight, *((7, 24) if of_weight else (24, 7)))
    constants = make_product(kind, numbers, SCALES[0], columns, gain=alpha)
    constants["bias"] = draw_bias(7)
    inputs = spell(f"x w {bias} {output}")
    node = make_node("QGemm", inputs, domain=MICROSOFT, transA=of_x, transB=of_weight, alpha=alpha)
    assert_same(Net([node], constants), draw_numbers(kind, *((24, 5) if of_x else (5, 24))))
