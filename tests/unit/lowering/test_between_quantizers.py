"""Layers of real numbers between quantizers, or whose weights are whole, against ONNX Runtime.

The kernels that ONNX Runtime puts in the place of such a layer or function multiply by all scales
at once, or read a table.
"""

import numpy as np
import pytest

from support.graphs import make_node
from support.quantized_layers import (
    INTO,
    OUT_OF,
    make_blocked_layer,
    make_dynamic_layer,
    make_layer,
)
from support.quantized_nets import (
    BYTES,
    IMAGE,
    INT4,
    PAIRS,
    UINT4,
    Attributes,
    Kind,
    Net,
    draw_reals,
    draw_weight,
    make_grid,
    make_scale,
)
from support.quantized_runs import assert_near, assert_same_reals, run_both

pytestmark = pytest.mark.usefixtures("one_thread")

# The kernels that ONNX Runtime puts in the place of such a layer or function multiply by all scales
# at once, or read a table.
# Attributes, the shape of the weight, and its axis of channels.
LAYERS: list[tuple[str, Attributes, tuple[int, ...], int]] = [
    ("Conv", {"pads": [1, 1, 1, 1]}, (6, 4, 3, 3), 0),
    ("Conv", {"group": 4}, (4, 1, 3, 3), 0),
    ("Gemm", {}, (24, 7), 1),
    ("Gemm", {"transB": 1}, (7, 24), 0),
    ("MatMul", {}, (24, 7), 1),
]


def draw_features(weight: np.ndarray) -> np.ndarray:
    return draw_reals(3, 4, 7, 9) if weight.ndim > 2 else draw_reals(40, 24)


@pytest.mark.parametrize("by_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize(("op_type", "attributes", "shape", "axis"), LAYERS, ids=str)
@pytest.mark.parametrize(("kind", "weight_kind"), PAIRS, ids=str)
def test_layer_between_quantizers_gives_nearly_the_same_reals(
    kind: Kind,
    weight_kind: Kind,
    op_type: str,
    attributes: Attributes,
    shape: tuple[int, ...],
    axis: int,
    by_channel: bool,  # noqa: FBT001
) -> None:
    weight = draw_weight(weight_kind, *shape)
    net = make_layer(op_type, attributes, weight, kind, axis, by_channel=by_channel)
    assert_near(net, draw_features(weight), float(net.constants["z_scale"]))


@pytest.mark.parametrize(
    ("op_type", "attributes"),
    [
        ("Add", {}),
        ("Mul", {}),
        ("Concat", {"axis": 0}),
    ],
)
@pytest.mark.parametrize("kind", BYTES, ids=str)
def test_operands_between_quantizers_give_nearly_the_same_reals(
    kind: Kind, op_type: str, attributes: Attributes
) -> None:
    weight = draw_weight(kind, 1, 4, 7, 9)
    net = make_layer(op_type, attributes, weight, kind).with_constants(z_scale=make_scale(0.0271))
    assert_near(net, draw_features(weight), 0.0271)


@pytest.mark.parametrize(
    ("op_type", "attributes"),
    [
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("GlobalAveragePool", {}),
        ("LeakyRelu", {"alpha": 0.3}),
        ("Relu", {}),
        ("Sigmoid", {}),
        ("Softmax", {"axis": -1}),
    ],
)
@pytest.mark.parametrize("kind", BYTES, ids=str)
def test_function_between_quantizers_gives_nearly_the_same_reals(
    kind: Kind, op_type: str, attributes: Attributes
) -> None:
    constants = {**make_grid("q", kind, 4 / 255), **make_grid("z", kind, 0.0111)}
    nodes = [*INTO, make_node(op_type, "features", "result", **attributes), *OUT_OF]
    assert_near(Net(nodes, constants), draw_reals(*IMAGE), 0.0111)


@pytest.mark.parametrize("scale", ["q_scale w_scale", "w_scale q_scale"])
@pytest.mark.parametrize("count", [0, 7], ids=["tensor", "channel"])
@pytest.mark.parametrize("kind", BYTES, ids=str)
def test_dynamic_layer_gives_the_same_reals(kind: Kind, count: int, scale: str) -> None:
    net = make_dynamic_layer("MatMulInteger", draw_weight(kind, 24, 7), scale, count)
    expected, computed = run_both(net, draw_reals(5, 24))
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-5)


# For blocks of a power of two, ONNX Runtime rounds the activations of each block to 8 bits.
@pytest.mark.parametrize("block", [24, 16, 32], ids=str)
@pytest.mark.parametrize("kind", [INT4, UINT4], ids=str)
def test_weights_in_blocks_give_the_same_reals(kind: Kind, block: int) -> None:
    assert_same_reals(make_blocked_layer(kind, block), draw_reals(8, 96))
