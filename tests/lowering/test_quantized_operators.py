"""Quantized graphs against ONNX Runtime as users run it, and the whole numbers that they train.

Where a comment does not say otherwise, every whole number is the same. Types that ONNX Runtime has
no kernel for are left out of the lists.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic
from torch import Tensor

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.grids import RANGES, read_reals, round_reals
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.tensors import replace_tensors
from nhle_onnx.lowering.module import LoweredModel, lower_model
from nhle_onnx.lowering.operators import OPERATORS
from nhle_onnx.values.model import Grid

pytestmark = pytest.mark.usefixtures("one_thread")

MICROSOFT = "com.microsoft"
INT4, UINT4 = np.dtype(ml_dtypes.int4), np.dtype(ml_dtypes.uint4)
INT8, UINT8, INT16, UINT16, INT32 = map(np.dtype, ("int8", "uint8", "int16", "uint16", "int32"))
BYTES = (UINT8, INT8)
KINDS = (*BYTES, INT16, UINT16, INT4, UINT4)
STORED = (*KINDS, INT32)
PAIRS = ((UINT8, UINT8), (UINT8, INT8), (INT8, INT8))  # of an activation and a weight
ALL_PAIRS = (*PAIRS, (INT8, UINT8))
# Odd: a kernel that adds it before it rounds takes every second tie to the other side.
ZEROS = {UINT8: 113, INT8: -9, INT16: -301, UINT16: 30001, INT4: -3, UINT4: 5}
# The second pair makes ties, which QLinearAdd rounds so on x86 alone.
SCALES = ((0.02173, 0.01339), (0.5, 0.25))


Kind = np.dtype[Any]
Attributes = dict[str, Any]


class Net(NamedTuple):
    """A graph from the input `x` to the output `y`, in which all other inputs are constant."""

    nodes: Sequence[NodeProto]
    constants: Mapping[str, np.ndarray]
    opset: int = 21

    def with_constants(self, **constants: np.ndarray) -> "Net":
        return self._replace(constants={**self.constants, **constants})


def make_node(op_type: str, inputs: str, output: str = "y", **attributes: Any) -> NodeProto:  # noqa: ANN401 - ONNX attributes vary
    """A node whose inputs' names are parted by spaces; a dash leaves one out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op_type, names, [output], **attributes)


def get_limits(kind: Kind) -> tuple[int, int]:
    return RANGES[helper.np_dtype_to_tensor_dtype(kind)]


def list_numbers(kind: Kind) -> np.ndarray:
    low, high = get_limits(kind)
    return np.arange(low, high + 1).astype(kind)


def draw_numbers(kind: Kind, *shape: int, seed: int = 0) -> np.ndarray:
    low, high = get_limits(kind)
    return np.random.default_rng(seed).integers(low, high + 1, shape).astype(kind)


def draw_weight(kind: Kind, *shape: int) -> np.ndarray:
    """Signed ones of 7 bits: without VNNI, ONNX Runtime's kernels saturate sums of two products."""
    numbers = draw_numbers(kind, *shape, seed=1)
    return numbers // 2 if kind == INT8 else numbers


def draw_reals(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def make_scale(scale: float, count: int = 0) -> np.ndarray:
    """One scale, or one for each of `count` channels."""
    spread = np.random.default_rng(0).uniform(0.5, 2.0, count) if count else np.ones(())
    return np.asarray(scale * spread, np.float32)


def make_grid(name: str, kind: Kind, scale: float, count: int = 0) -> dict[str, Any]:
    """Scale and zero point of a tensor, by their names in the graph."""
    zero_point = np.full((count,) if count else (), ZEROS[kind], kind)
    return {f"{name}_scale": make_scale(scale, count), f"{name}_zero": zero_point}


def spell(names: str) -> str:
    """Numbers, scale and zero point of each tensor; of the output `y`, scale and zero point."""
    forms = {"y": "y_scale y_zero", "-": "-", "bias": "bias"}
    return " ".join(forms.get(name, f"{name} {name}_scale {name}_zero") for name in names.split())


def make_product(
    kind: Kind,
    weight: np.ndarray,
    scales: tuple[float, float],
    count: int = 0,
    gain: float = 1.0,
) -> dict[str, np.ndarray]:
    """Constants of a layer, whose output's range holds two standard deviations of the sums."""
    x_scale, scale = scales
    fan_in = max(len(weight), weight[0].size)  # the inputs are more than the outputs here
    return {
        **make_grid("x", kind, x_scale),
        **make_grid("w", weight.dtype, scale, count),
        "w": weight,
        "y_scale": make_scale(x_scale * scale * gain * fan_in**0.5 * 64),
        "y_zero": np.asarray(ZEROS[kind], kind),
    }


def draw_bias(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-9000, 9000, count).astype(np.int32)


def make_model(net: Net, x: np.ndarray) -> tuple[ModelProto, np.ndarray]:
    """The model, and what ONNX Runtime computes with it."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        net.nodes,
        "net",
        [value("x", helper.np_dtype_to_tensor_dtype(x.dtype), [None] * x.ndim)],
        [helper.make_empty_tensor_value_info("y")],
        [
            numpy_helper.from_array(array, name)
            for name, array in net.constants.items()
            if any(name in node.input for node in net.nodes)
        ],
    )
    domains = [helper.make_opsetid("", net.opset), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=10)
    expected = open_session(model).run(None, {"x": x})[0]
    kind = helper.np_dtype_to_tensor_dtype(expected.dtype)
    model.graph.output[0].CopyFrom(value("y", kind, [None] * expected.ndim))
    return model, expected


def open_session(model: ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def lower(model: ModelProto) -> LoweredModel:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        return lower_model(load_model(path), source="x", output="y")


def run_module(lowered: LoweredModel, x: np.ndarray) -> np.ndarray:
    """Whole numbers go in and come out as floats."""
    with torch.no_grad():
        output: np.ndarray = lowered.module(torch.from_numpy(x.astype(np.float32))).numpy()
    return output


def run_both(net: Net, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What ONNX Runtime computes, and what the module does."""
    model, expected = make_model(net, x)
    assert len(np.unique(expected)) > 3  # else nothing but saturation would be compared
    return expected, run_module(lower(model), x)


def assert_same(net: Net, x: np.ndarray) -> None:
    expected, computed = run_both(net, x)
    np.testing.assert_array_equal(computed, expected)


def assert_near(net: Net, x: np.ndarray, step: float = 1.0) -> None:
    assert_within_one_step(*run_both(net, x), step)


def assert_within_one_step(expected: np.ndarray, computed: np.ndarray, step: float) -> None:
    """Everywhere, and the same in 99 % of places."""
    steps = np.abs(computed - expected) / step
    assert steps.max() < 1.5
    assert np.mean(steps > 0.5) <= 0.01


BEYOND = (-np.inf, -1e30, -3e9, 3e9, 1e30, np.inf)  # every type's range
ANY_REAL = (
    st.floats(width=32, allow_nan=False)
    | st.floats(-300, 300, width=32)
    | st.sampled_from([float(np.float32(value)) for value in BEYOND])
)
UNEVEN = {"pads": [1, 0, 2, 1], "strides": [2, 3]}
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
    assert_same(Net([node], constants), x)


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
    assert_same(net, draw_numbers(kind, 3, 5, 24))


@pytest.mark.parametrize(("kind", "weight"), ALL_PAIRS, ids=str)
def test_integer_product_takes_its_weight_on_the_left(kind: Kind, weight: Kind) -> None:
    constants = make_product(kind, draw_weight(weight, 6, 24), SCALES[0])
    net = Net([make_node("MatMulInteger", "w x w_zero x_zero")], constants)
    assert_same(net, draw_numbers(kind, 24, 5))


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


IMAGE = (2, 4, 7, 9)


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


def make_unary(
    op_type: str,
    kind: Kind,
    x_scale: float,
    y_scale: float,
    **attributes: Any,  # noqa: ANN401
) -> Net:
    constants = {**make_grid("x", kind, x_scale), **make_grid("y", kind, y_scale)}
    return Net([make_node(op_type, spell("x y"), domain=MICROSOFT, **attributes)], constants)


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


def make_round_trip(
    kind: Kind,
    count: int = 0,
    *,
    domain: str = "",
    opset: int = 21,
    **attributes: Any,  # noqa: ANN401
) -> Net:
    """To whole numbers, whose range holds two standard deviations, and back."""
    low, high = get_limits(kind)
    grid = make_grid("q", kind, 4.0 / (high - low), count)
    if count:
        grid["q_zero"] = (ZEROS[kind] + np.arange(count) % 3).astype(kind)
    nodes = [
        make_node("QuantizeLinear", "x q_scale q_zero", "q", domain=domain, **attributes),
        make_node("DequantizeLinear", spell("q"), domain=domain, **attributes),
    ]
    return Net(nodes, grid, opset)


@pytest.mark.parametrize(("count", "axis"), [(0, 1), (4, 1), (6, -1)], ids=str)
@pytest.mark.parametrize(
    ("kind", "opset", "domain"),
    [
        *((kind, opset, "") for kind in BYTES for opset in (13, 19)),
        *((kind, opset, "") for kind in KINDS for opset in (21, 25)),
        *((kind, 17, MICROSOFT) for kind in KINDS),
    ],
    ids=str,
)
def test_round_trip_gives_the_same_reals(
    kind: Kind, opset: int, domain: str, count: int, axis: int
) -> None:
    net = make_round_trip(kind, count, domain=domain, opset=opset, axis=axis)
    assert_same(net, draw_reals(3, 4, 6))


@pytest.mark.parametrize(("axis", "block"), [(2, 3), (-1, 4), (1, 2)], ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_round_trip_by_block_gives_the_same_reals(kind: Kind, axis: int, block: int) -> None:
    shape = [3, 4, 6]
    shape[axis] = -(-shape[axis] // block)
    net = make_round_trip(kind, math.prod(shape), axis=axis, block_size=block)
    constants = {name: array.reshape(shape) for name, array in net.constants.items()}
    assert_same(net.with_constants(**constants), draw_reals(3, 4, 6))


@pytest.mark.parametrize("opset", [21, 25])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_type_is_an_attribute_where_no_zero_point_says_it(kind: Kind, opset: int) -> None:
    low, high = get_limits(kind)
    scale = {"q_scale": make_scale(6.0 / (high - low))}
    code = helper.np_dtype_to_tensor_dtype(kind)
    nodes = [
        make_node("QuantizeLinear", "x q_scale", "q", output_dtype=code),
        make_node("DequantizeLinear", "q q_scale"),
    ]
    assert_same(Net(nodes, scale, opset), draw_reals(3, 40))


def test_type_is_uint8_where_nothing_says_it() -> None:
    net = Net([make_node("QuantizeLinear", "x scale")], {"scale": make_scale(0.01)}, opset=10)
    assert_same(net, draw_reals(3, 40))


@pytest.mark.parametrize("shape", [(40,), (3, 40)], ids=str)
@pytest.mark.parametrize("sign", ["both", "positive", "negative"])
def test_range_is_found_at_run_time(sign: str, shape: tuple[int, ...]) -> None:
    x = draw_reals(*shape)
    x = {"both": x, "positive": abs(x), "negative": -abs(x)}[sign]
    assert_same(DYNAMIC_ROUND_TRIP, x)


DYNAMIC_ROUND_TRIP = Net(
    [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "q_scale", "q_zero"]),
        make_node("DequantizeLinear", spell("q")),
    ],
    {},
)


# Inputs and attributes with which each kernel gives its input back, and the weight for that.
IDENTITIES: dict[str, tuple[str, Attributes, int]] = {
    "QLinearConv": ("x w y", {}, 1),
    "QLinearMatMul": ("x w y", {}, 1),
    "QGemm": ("x w - y", {}, 1),
    "QLinearAdd": ("x w y", {}, 0),
    "QLinearMul": ("x w y", {}, 1),
    "QLinearConcat": ("y x", {"axis": 0}, 1),
    "QLinearLeakyRelu": ("x y", {"alpha": 1.0}, 1),
    "QLinearAveragePool": ("x y", {"kernel_shape": [1, 1]}, 1),
    "QLinearGlobalAveragePool": ("x y", {}, 1),
}


def make_identity(op_type: str, kind: Kind, gain: float, shift: int = 0) -> tuple[Net, np.ndarray]:
    """A kernel that multiplies by a gain and moves the zero point, and every number there is."""
    inputs, attributes, number = IDENTITIES[op_type]
    weight_kind = kind if op_type in {"QLinearAdd", "QLinearMul"} else INT8
    shape = (1, 1) if op_type in {"QLinearMatMul", "QGemm"} else (1, 1, 1, 1)
    constants = {
        **make_grid("x", kind, gain),
        "w": np.full(shape, number, weight_kind),
        "w_scale": make_scale(1.0),
        "w_zero": np.zeros((), weight_kind),
        "y_scale": make_scale(1.0),
        "y_zero": np.asarray(ZEROS[kind] + shift, kind),
    }
    domain = "" if op_type in {"QLinearConv", "QLinearMatMul"} else MICROSOFT
    node = make_node(op_type, spell(inputs), domain=domain, **attributes)
    return Net([node], constants), list_numbers(kind).reshape(-1, *shape[1:])


@pytest.mark.parametrize("shift", [0, 1], ids=["odd", "even"])
@pytest.mark.parametrize("kind", BYTES, ids=str)
@pytest.mark.parametrize("op_type", IDENTITIES)
def test_kernels_round_half_to_even(op_type: str, kind: Kind, shift: int) -> None:
    """Half to an even number, or to an even count of steps: each kernel has its own way."""
    assert_same(*make_identity(op_type, kind, 0.5, shift))


@pytest.mark.parametrize("op_type", IDENTITIES)
@pytest.mark.parametrize("kind", BYTES, ids=str)
def test_kernels_saturate(kind: Kind, op_type: str) -> None:
    net, x = make_identity(op_type, kind, 2.0)
    expected, computed = run_both(net, x)
    np.testing.assert_array_equal(computed, expected)
    assert {expected.min(), expected.max()} == set(get_limits(kind))


@pytest.mark.parametrize("shift", [0, 1], ids=["odd", "even"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_quantizing_rounds_half_to_even(kind: Kind, shift: int) -> None:
    """At every tie of the type, and beyond both ends: an even count in all, as ONNX Runtime's
    4-bit kernel takes infinity for the lowest number where one is left over.
    """
    zero = np.asarray(ZEROS[kind] + shift, kind)
    net = make_round_trip(kind).with_constants(q_scale=make_scale(0.25), q_zero=zero)
    low, high = get_limits(kind)
    ties = (np.arange(low - 3, high + 4) + 0.5 - float(zero)) * 0.25
    x = np.array([*ties, *BEYOND], np.float32).reshape(-1, 1)
    assert_same(net, x)


@cache
def open_round_trip(kind: Kind) -> tuple[ort.InferenceSession, LoweredModel]:
    model, _ = make_model(make_round_trip(kind), draw_reals(5, 1))
    return open_session(model), lower(model)


@given(
    kind=st.sampled_from(KINDS),
    x=arrays(np.float32, (8, 1), elements=ANY_REAL | st.floats(-4, 4, width=32)),
)
def test_any_number_is_quantized_the_same(kind: Kind, x: np.ndarray) -> None:
    session, lowered = open_round_trip(kind)
    np.testing.assert_array_equal(run_module(lowered, x), session.run(None, {"x": x})[0])


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
INTO = [
    make_node("QuantizeLinear", "x q_scale q_zero", "q"),
    make_node("DequantizeLinear", spell("q"), "features"),
]
OUT_OF = [
    make_node("QuantizeLinear", "result z_scale z_zero", "z"),
    make_node("DequantizeLinear", spell("z")),
]


def make_layer(
    op_type: str,
    attributes: Attributes,
    weight: np.ndarray,
    kind: Kind,
    axis: int = 0,
    *,
    by_channel: bool = False,
) -> Net:
    """A layer in floats between quantizers, as ONNX Runtime's tools write it and its optimizer
    fuses it into a kernel for whole numbers.
    """
    has_bias = op_type in {"Conv", "Gemm"}
    count = weight.shape[axis] if by_channel else 0
    constants = {
        **make_grid("q", kind, 4 / 255),
        **make_grid("w", weight.dtype, 0.01339, count),
        **make_grid("z", kind, 0.0071 * max(len(weight), weight[0].size) ** 0.5),
        "w": weight,
        "bias": draw_bias(weight.shape[axis]) // 64,
    }
    constants["bias_scale"] = constants["q_scale"] * constants["w_scale"]
    nodes = [make_node("DequantizeLinear", spell("w"), "weight", axis=axis)]
    if has_bias:
        nodes.append(make_node("DequantizeLinear", "bias bias_scale", "shift", axis=0))
    inputs = "features weight" + " shift" * has_bias
    nodes.append(make_node(op_type, inputs, "result", **attributes))
    return Net([*INTO, *nodes, *OUT_OF], constants)


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


def make_dynamic_layer(op_type: str, weight: np.ndarray, scale: str, count: int = 0) -> Net:
    """A layer as ONNX Runtime's dynamic quantizer writes it."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "q_scale", "q_zero"]),
        make_node(op_type, "q w q_zero w_zero", "sums"),
        make_node("Mul", scale, "scale"),
        make_node("Cast", "sums", "steps", to=TensorProto.FLOAT),
        make_node("Mul", "steps scale", "product"),
        make_node("Add", "product bias"),
    ]
    bias = draw_reals(weight.shape[-1]) if weight.ndim == 2 else draw_reals(len(weight), 1, 1)
    return Net(nodes, {**make_grid("w", weight.dtype, 0.01339, count), "w": weight, "bias": bias})


@pytest.mark.parametrize("scale", ["q_scale w_scale", "w_scale q_scale"])
@pytest.mark.parametrize("count", [0, 7], ids=["tensor", "channel"])
@pytest.mark.parametrize("kind", BYTES, ids=str)
def test_dynamic_layer_gives_the_same_reals(kind: Kind, count: int, scale: str) -> None:
    net = make_dynamic_layer("MatMulInteger", draw_weight(kind, 24, 7), scale, count)
    expected, computed = run_both(net, draw_reals(5, 24))
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-5)


def make_blocked_layer(kind: Kind, block: int) -> Net:
    weight = draw_numbers(kind, 96, 5, seed=1)
    grid = make_grid("w", kind, 0.1, len(weight) // block * 5)
    grid = {name: array.reshape(-1, 5) for name, array in grid.items()}
    nodes = [
        make_node("DequantizeLinear", spell("w"), "weight", axis=0, block_size=block),
        make_node("MatMul", "x weight"),
    ]
    return Net(nodes, {**grid, "w": weight})


# For blocks of a power of two, ONNX Runtime rounds the activations of each block to 8 bits.
@pytest.mark.parametrize(("block", "tolerance"), [(24, 1e-5), (16, 0.02), (32, 0.02)], ids=str)
@pytest.mark.parametrize("kind", [INT4, UINT4], ids=str)
def test_weights_in_blocks_give_the_same_reals(kind: Kind, block: int, tolerance: float) -> None:
    expected, computed = run_both(make_blocked_layer(kind, block), draw_reals(8, 96))
    np.testing.assert_allclose(computed, expected, rtol=0, atol=tolerance * abs(expected).max())


def differentiate(net: Net, x: np.ndarray, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """The gradient, for the inputs, of the outputs' weighted sum."""
    inputs = torch.from_numpy(x.astype(np.float32)).requires_grad_()
    outputs = lower(make_model(net, x)[0]).module(inputs)
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
# A graph, its input, and what is trained in it: whole numbers, and real ones.
TRAINED: dict[str, tuple[Net, np.ndarray, set[str], set[str]]] = {
    "int8 convolution": (
        make_layer("Conv", {}, KERNEL, UINT8, by_channel=True), PIXELS, {"w", "bias"}, set(),
    ),
    "uint8 dense layer": (
        make_layer("Gemm", {}, draw_weight(UINT8, 24, 7), INT8, 1), ROWS, {"w", "bias"}, set(),
    ),
    "operand": (make_layer("Add", {}, draw_weight(INT8, 24), INT8), ROWS, {"w"}, set()),
    "int4 blocks": (make_blocked_layer(INT4, 24), draw_reals(8, 96), {"w"}, set()),
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
    net, x, whole, real = TRAINED[name]
    lowered = lower(make_model(net, x)[0])
    assert lowered.parameter_of.keys() == whole | real
    assert lowered.whole == whole
    assert {id(parameter) for parameter in lowered.module.parameters()} == {
        id(parameter) for parameter in lowered.parameter_of.values()
    }
    lowered.module(torch.from_numpy(x.astype(np.float32))).square().sum().backward()
    for key, parameter in lowered.parameter_of.items():
        np.testing.assert_array_equal(parameter.detach(), net.constants[key].astype(np.float32))
        assert parameter.grad is not None
        assert parameter.grad.count_nonzero()


@pytest.mark.parametrize("name", [name for name, (_, _, whole, _) in TRAINED.items() if whole])
def test_what_is_trained_is_what_onnxruntime_reads_of_it(name: str) -> None:
    net, x, *_ = TRAINED[name]
    model, before = make_model(net, x)
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
    lowered = lower(make_model(net, draw_reals(8, 96))[0])
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
    assert not lower(make_model(net, NUMBERS)[0]).parameter_of


def test_weights_of_onnxruntimes_dynamic_quantizer(tmp_path: Path) -> None:
    """It names its tensors after the float ones."""
    constants = {"first": draw_reals(24, 9), "second": draw_reals(9, 7), "bias": draw_reals(9)}
    nodes = [
        make_node("MatMul", "x first", "a"),
        make_node("Add", "a bias", "b"),
        make_node("MatMul", "b second"),
    ]
    model, _ = make_model(Net(nodes, constants, opset=17), ROWS)
    onnx.save(model, tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "whole.onnx", per_channel=True)
    lowered = lower(onnx.load(tmp_path / "whole.onnx"))
    assert lowered.whole == {"first_quantized", "second_quantized"}
    assert lowered.parameter_of.keys() == lowered.whole | {"bias"}


FLOAT8 = np.dtype(ml_dtypes.float8_e4m3fn)
CHANNELS_LAST: Attributes = {"channels_last": 1, "domain": MICROSOFT}


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([make_node("QLinearConv", spell("x w y"), **CHANNELS_LAST)], "channels_last"),
        (
            [make_node("QLinearAveragePool", spell("x y"), kernel_shape=[3, 3], **CHANNELS_LAST)],
            "channels_last",
        ),
        (
            [
                make_node("DequantizeLinear", spell("x"), "real"),
                make_node(
                    "QuantizeLinear", "real x_scale", "q", output_dtype=TensorProto.FLOAT8E5M2
                ),
                make_node("DequantizeLinear", "q x_scale"),
            ],
            "QuantizeLinear to FLOAT8E5M2",
        ),
        (
            [
                make_node("DequantizeLinear", "float8 x_scale", "weight"),
                make_node("DequantizeLinear", spell("x"), "real"),
                make_node("Add", "real weight"),
            ],
            "FLOAT8E4M3FN",
        ),
    ],
    ids=["convolution", "pool", "float8", "float8 weight"],
)
def test_what_is_not_supported_is_named(nodes: list[NodeProto], message: str) -> None:
    constants = make_product(UINT8, draw_weight(INT8, 6, 4, 3, 3), SCALES[0])
    constants["float8"] = np.ones(4, FLOAT8)
    model, _ = make_model(Net(nodes, constants), draw_numbers(UINT8, 2, 7, 9, 4))
    with pytest.raises(UnsupportedModelError, match=message):
        lower(model)


@st.composite
def draw_tensors(draw: st.DrawFn, kind: Kind) -> tuple[np.ndarray, TensorProto]:
    """Whole numbers, and the tensor that stores them: as bytes, or number by number."""
    low, high = get_limits(kind)
    shape = draw(array_shapes(max_dims=3, max_side=4))
    elements = st.integers(low, high) | st.sampled_from([low, low + 1, high - 1, high])
    numbers = draw(arrays(np.int64, shape, elements=elements)).astype(kind)
    if draw(st.booleans()):
        return numbers, numpy_helper.from_array(numbers, "w")
    code = helper.np_dtype_to_tensor_dtype(kind)
    return numbers, helper.make_tensor("w", code, shape, numbers.ravel())


def make_store(*tensors: TensorProto) -> ModelProto:
    return ModelProto(graph=GraphProto(initializer=tensors))


@pytest.mark.parametrize("kind", STORED, ids=str)
@given(data=st.data())
def test_the_same_values_keep_every_byte(kind: Kind, data: st.DataObject) -> None:
    """Also of 32 bits, of which float32 holds no more than the first 24."""
    numbers, tensor = data.draw(draw_tensors(kind))
    model = make_store(tensor)
    before = model.SerializeToString()
    replace_tensors(model, {"w": numbers.astype(np.float32)})
    assert model.SerializeToString() == before


@pytest.mark.parametrize("kind", STORED, ids=str)
@given(data=st.data())
def test_other_values_are_rounded_into_the_type(kind: Kind, data: st.DataObject) -> None:
    numbers, tensor = data.draw(draw_tensors(kind))
    values = data.draw(arrays(np.float32, numbers.shape, elements=ANY_REAL))
    model = make_store(tensor)
    replace_tensors(model, {"w": values})
    low, high = get_limits(numbers.dtype)
    expected = np.clip(np.rint(values.astype(np.float64)), low, high)
    is_same = values == numbers.astype(np.float32)
    replaced = numpy_helper.to_array(model.graph.initializer[0])
    np.testing.assert_array_equal(
        replaced.astype(np.float64), np.where(is_same, numbers.astype(np.float64), expected)
    )


@st.composite
def draw_grids(draw: st.DrawFn, numbers: np.ndarray) -> tuple[Grid, list[TensorProto]]:
    """A grid for numbers: of one scale, or of one for each index or block of an axis."""
    axis = draw(st.integers(-numbers.ndim, numbers.ndim - 1))
    block_size = draw(st.sampled_from([0, 2, 3]))
    shape = list(numbers.shape)
    if block_size:
        shape[axis] = -(-shape[axis] // block_size)
    else:
        shape = draw(st.sampled_from([[], [1], [shape[axis]]]))
    positive = st.floats(2.0**-126, 2.0**100, width=32)
    names = draw(st.sampled_from([("w_scale",), ("x_scale", "w_scale")]))
    tensors = [
        numpy_helper.from_array(draw(arrays(np.float32, tuple(size), elements=positive)), name)
        for name, size in zip(reversed(names), [shape, []], strict=False)
    ]
    limits = get_limits(numbers.dtype)
    zeros = draw(arrays(np.int64, tuple(shape), elements=st.integers(*limits))).astype(
        numbers.dtype
    )
    tensors.append(numpy_helper.from_array(zeros, "w_zero"))
    zero_point = draw(st.sampled_from([None, "w_zero"]))
    return Grid(scales=names, zero_point=zero_point, axis=axis, block_size=block_size), tensors


@pytest.mark.parametrize("kind", STORED, ids=str)
@given(data=st.data())
def test_reals_of_a_grid_are_rounded_back_to_their_numbers(kind: Kind, data: st.DataObject) -> None:
    numbers, tensor = data.draw(draw_tensors(kind))
    grid, tensors = data.draw(draw_grids(numbers))
    model = make_store(tensor, *tensors)
    reals = read_reals(model, "w", grid)
    np.testing.assert_array_equal(round_reals(model, "w", grid, reals), numbers.astype(np.float64))
    low, high = get_limits(numbers.dtype)
    for limit, beyond in ((low, -np.inf), (high, np.inf)):
        assert (round_reals(model, "w", grid, np.full_like(reals, beyond)) == limit).all()


def test_every_operator_of_microsofts_domain_is_tested_here() -> None:
    tested = {"DequantizeLinear", "QuantizeLinear", "QLinearSigmoid", "QLinearSoftmax"}
    assert {row.op_type for row in OPERATORS if row.domain} == tested | (
        IDENTITIES.keys() - {"QLinearMatMul"}
    )
