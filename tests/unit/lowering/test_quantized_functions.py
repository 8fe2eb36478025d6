"""Functions of whole numbers against ONNX Runtime: every number is the same, unless the name of the
test says nearly.
"""

import numpy as np
import pytest
from onnx import helper

from support.graphs import MICROSOFT, make_node
from support.quantized_nets import (
    BYTES,
    IMAGE,
    SCALES,
    UNEVEN,
    Attributes,
    Kind,
    Net,
    draw_numbers,
    get_limits,
    list_numbers,
    make_grid,
    make_unary,
    spell,
)
from support.quantized_runs import IS_X86, assert_near, assert_same, lower, make_and_run, run_module

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("scales", SCALES, ids=str)
@pytest.mark.parametrize("inputs", ["x w", "w x", "x x"])
@pytest.mark.parametrize("shape", [IMAGE, (4, 1, 1), (9,), ()], ids=str)
@pytest.mark.parametrize("kind", BYTES, ids=str)
@pytest.mark.parametrize(("op_type", "gain"), [("QLinearAdd", 2.0), ("QLinearMul", 32.0)])
def test_sums_and_products_of_operands_are_the_same(
    op_type: str,
    gain: float,
    kind: Kind,
    shape: tuple[int, ...],
    inputs: str,
    scales: tuple[float, float],
) -> None:
    y_scale = gain * (scales[0] * scales[1] if op_type == "QLinearMul" else scales[1])
    constants = {
        **make_grid("x", kind, scales[0]),
        **make_grid("w", kind, scales[1]),
        **make_grid("y", kind, y_scale),
        "w": draw_numbers(kind, *shape, seed=1),
    }
    node = make_node(op_type, spell(f"{inputs} y"), domain=MICROSOFT)
    assert_same(Net([node], constants), draw_numbers(kind, *IMAGE))


@pytest.mark.parametrize("scales", SCALES, ids=str)
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("kind", BYTES, ids=str)
def test_concatenation_gives_the_same_numbers(
    kind: Kind, axis: int, scales: tuple[float, float]
) -> None:
    constants = {
        **make_grid("x", kind, scales[0]),
        **make_grid("w", kind, scales[1]),
        **make_grid("y", kind, 1.5 * scales[1]),
        "w": draw_numbers(kind, *IMAGE, seed=1),
    }
    node = make_node("QLinearConcat", spell("y x w"), domain=MICROSOFT, axis=axis)
    assert_same(Net([node], constants), draw_numbers(kind, *IMAGE))


@pytest.mark.parametrize("y_scale", [0.01, 0.021, 0.0105])
@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize("extents", [(7, 9), (2, 3), (1, 1)], ids=str)
@pytest.mark.parametrize("kind", BYTES, ids=str)
def test_global_average_pool_gives_the_same_numbers(
    kind: Kind,
    extents: tuple[int, int],
    channels_last: int,
    y_scale: float,
) -> None:
    op_type = "QLinearGlobalAveragePool"
    shape = (9, *extents, 32) if channels_last else (9, 32, *extents)
    net = make_unary(op_type, kind, 0.021, y_scale, channels_last=channels_last)
    assert_same(net, draw_numbers(kind, *shape))


@pytest.mark.parametrize("scales", [(0.021, 0.021), (0.021, 0.011), (0.5, 0.25)], ids=str)
@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 2]},
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        {"kernel_shape": [3, 2], **UNEVEN},
        {"kernel_shape": [3, 2], **UNEVEN, "ceil_mode": 1},
        {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", BYTES, ids=str)
def test_average_pool_gives_nearly_the_same_numbers(
    kind: Kind,
    attributes: Attributes,
    scales: tuple[float, float],
) -> None:
    """A window's sum of real numbers depends on their order, which torch does not promise."""
    net = make_unary("QLinearAveragePool", kind, *scales, **attributes)
    assert_near(net, draw_numbers(kind, 4, 16, 7, 9))


@pytest.mark.parametrize(
    ("op_type", "attributes", "scales"),
    [
        ("QLinearSigmoid", {}, (0.02, 1 / 256)),
        ("QLinearLeakyRelu", {}, (0.021, 0.033)),
        ("QLinearLeakyRelu", {"alpha": 0.25}, (0.5, 0.5)),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", BYTES, ids=str)
def test_activation_gives_the_same_numbers(
    kind: Kind, op_type: str, attributes: Attributes, scales: tuple[float, float]
) -> None:
    net = make_unary(op_type, kind, *scales, **attributes)
    assert_same(net, list_numbers(kind).reshape(16, 16))


@pytest.mark.parametrize("y_scale", [1 / 256, 1 / 255, 0.0029])
@pytest.mark.parametrize(
    "attributes",
    [
        {"opset": 13},
        {"opset": 13, "axis": 1},
        {"opset": 12},
        {"opset": 12, "axis": 0},
        {"opset": 12, "axis": -2},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", BYTES, ids=str)
def test_softmax_gives_nearly_the_same_numbers(
    kind: Kind, attributes: Attributes, y_scale: float
) -> None:
    """ONNX Runtime reads exponentials from a table. Scores lie close together: its int8 kernel
    wraps round where a score takes it all.
    """
    net = make_unary("QLinearSoftmax", kind, 0.01, y_scale, **attributes)
    lowest = np.asarray(get_limits(kind)[0], kind)
    assert_near(net.with_constants(y_zero=lowest), draw_numbers(kind, 8, 4, 5))


@pytest.mark.parametrize(
    "attributes", [{}, {"alpha": 1 / 6, "beta": 0.5}, {"alpha": 0.3, "beta": 0.4}], ids=str
)
def test_what_a_scale_is_found_of_is_the_same_to_the_last_bit(attributes: Attributes) -> None:
    op_type = "HardSigmoid" if attributes else "HardSwish"
    net = Net(
        [
            make_node(op_type, "x", **attributes),
            helper.make_node("DynamicQuantizeLinear", ["y"], ["numbers", "scale", "zero_point"]),
        ],
        {},
    )
    x = np.random.default_rng(0).normal(0, 3, IMAGE).astype(np.float32)
    model, expected = make_and_run(net, x)
    rtol = 0 if IS_X86 else 2e-7  # other processors multiply and add in one rounding
    np.testing.assert_allclose(run_module(lower(model), x), expected, rtol=rtol, atol=rtol)
