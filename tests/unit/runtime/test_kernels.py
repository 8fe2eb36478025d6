"""Sums of 8-bit products are exact on every processor, whatever form a graph has for them.

Forms that only a processor without VNNI is given are also made here, so that most of this can fail
anywhere; `python -m studies processors` runs it on such a processor.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from nhle_onnx.runtime import kernels, session
from nhle_onnx.runtime.exact_sums import ENTRIES, make_exact
from nhle_onnx.runtime.native import open_native
from nhle_onnx.runtime.session import open_session
from support.graphs import MICROSOFT, keep_used, make_model, make_node
from support.shipped import EVALUATION, LENET, MOBILENET_INT8

INT8, UINT8 = np.dtype("int8"), np.dtype("uint8")
DEPTH = 64
MATRIX = {"x": (2, DEPTH), "w": (DEPTH, 3)}
IMAGE = {"x": (1, DEPTH, 3, 3), "w": (4, DEPTH, 3, 3)}
# Each form of a product: its node, and the shapes of its factors.
FORMS: dict[str, tuple[NodeProto, dict[str, tuple[int, ...]]]] = {
    "MatMulInteger": (helper.make_node("MatMulInteger", ["x", "w", "x0", "w0"], ["y"]), MATRIX),
    "no zero points": (helper.make_node("MatMulInteger", ["x", "w"], ["y"]), MATRIX),
    "ConvInteger": (helper.make_node("ConvInteger", ["x", "w", "x0", "w0"], ["y"]), IMAGE),
    "padded": (
        helper.make_node("ConvInteger", ["x", "w", "x0"], ["y"], pads=[1, 1, 1, 1]),
        IMAGE,
    ),
    "QLinearConv": (
        helper.make_node("QLinearConv", ["x", "s", "x0", "w", "s", "w0", "ys", "y0"], ["y"]),
        IMAGE,
    ),
    "QLinearMatMul": (
        helper.make_node("QLinearMatMul", ["x", "s", "x0", "w", "s", "w0", "ys", "y0"], ["y"]),
        MATRIX,
    ),
    "QGemm": (
        helper.make_node("QGemm", ["x", "s", "x0", "w", "s", "w0"], ["y"], domain=MICROSOFT),
        MATRIX,
    ),
    "MatMulIntegerToFloat": (
        helper.make_node(
            "MatMulIntegerToFloat", ["x", "w", "s", "s", "x0", "w0"], ["y"], domain=MICROSOFT
        ),
        MATRIX,
    ),
}
KINDS = tuple(itertools.product((UINT8, INT8), (INT8, UINT8)))
NO_KERNEL = {"QLinearConv", "QLinearMatMul", "QGemm", "MatMulIntegerToFloat"}  # for int8 × uint8


def make_product(
    name: str, kinds: tuple[np.dtype, np.dtype], fed: str
) -> tuple[ModelProto, dict[str, np.ndarray], np.ndarray]:
    """A product of the largest numbers there are; what is fed; and the exact result."""
    node, shapes = FORMS[name]
    arrays = {
        factor: np.full(shape, np.iinfo(kind).max, kind)
        for (factor, shape), kind in zip(shapes.items(), kinds, strict=True)
    }
    zeros = {"x0": -3 if kinds[0] == INT8 else 5, "w0": 0}
    arrays["w"].ravel()[::2] -= 1  # else a sum that is cut everywhere could look right
    largest = int(np.iinfo(kinds[0]).max) * int(np.iinfo(kinds[1]).max)
    extent = int(np.prod(shapes["w"][1:])) if len(shapes["w"]) > 2 else DEPTH
    constants = arrays | {
        "x0": np.array(zeros["x0"], kinds[0]),
        "w0": np.array(zeros["w0"], kinds[1]),
        "s": np.array(1, np.float32),
        "ys": np.array(largest * extent / 100, np.float32),
        "y0": np.array(0, kinds[0]),
    }
    feed = {key: constants.pop(key) for key in fed}
    model = make_model([node], feed, {"y": None}, keep_used(constants, [node]))
    return model, feed, compute(node, {**constants, **feed})


def compute(node: NodeProto, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """In whole numbers of 64 bits."""
    x, w = (
        arrays[key].astype(np.int64) - (arrays[zero].astype(np.int64) if zero in node.input else 0)
        for key, zero in (("x", "x0"), ("w", "w0"))
    )
    if x.ndim == 2:
        sums = x @ w
    else:
        pad = 1 if any(attribute.name == "pads" for attribute in node.attribute) else 0
        padded = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        sums = np.einsum("ncijkl,ockl->noij", windows, w)
    if "ys" in node.input:
        return np.rint(sums / arrays["ys"].astype(np.float64)).astype(arrays["y0"].dtype)
    return sums


@pytest.fixture(params=[False, True], ids=["as it is", "as if it saturated"])
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forms that only a processor without VNNI is given must compute the same anywhere."""
    if request.param:
        monkeypatch.setattr(kernels, "saturates", lambda: True)


def list_products() -> Iterator[tuple[str, tuple[np.dtype, np.dtype], str]]:
    for name, kinds, fed in itertools.product(FORMS, KINDS, ("x", "xw", "w")):
        if kinds != (INT8, UINT8) or name not in NO_KERNEL:
            yield name, kinds, fed


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize(("name", "kinds", "fed"), list(list_products()), ids=str)
def test_sums_are_exact(name: str, kinds: tuple[np.dtype, np.dtype], fed: str) -> None:
    model, feed, expected = make_product(name, kinds, fed)
    given = model.SerializeToString()
    (computed,) = open_session(model, "cpu").native.run(None, feed)
    np.testing.assert_array_equal(computed, expected)
    assert model.SerializeToString() == given


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("kind", [INT8, UINT8], ids=str)
def test_sums_of_what_is_quantized_while_it_runs_are_exact(kind: np.dtype) -> None:
    """As ONNX Runtime's own optimizer fuses it."""
    node = make_node("DynamicQuantizeMatMul", "x w s w0", domain=MICROSOFT)
    weight = np.full((DEPTH, 3), np.iinfo(kind).max, kind)
    weight[::2] -= 1
    step, point = np.float32(0.01), np.array(2, kind)
    constants = {"w": weight, "s": step, "w0": point}
    images = np.full((2, DEPTH), 0.5, np.float32)  # 255 steps of a uint8
    model = make_model([node], {"x": images}, {"y": None}, constants)
    (computed,) = open_session(model, "cpu").native.run(None, {"x": images})
    expected = images @ ((weight.astype(np.float64) - 2) * 0.01)
    np.testing.assert_allclose(computed, expected, rtol=1e-5)


def test_a_model_too_large_for_one_message_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond 2 GB, ONNX Runtime is given its weights beside it."""
    images = np.load(EVALUATION)["x"][:2, None].astype(np.float32)
    model = onnx.load(LENET)
    name = model.graph.input[0].name
    (expected,) = open_session(model, "cpu").native.run(None, {name: images})
    monkeypatch.setattr(session, "MAX_PROTO_BYTES", 10)
    (computed,) = open_session(model, "cpu").native.run(None, {name: images})
    np.testing.assert_array_equal(computed, expected)
    assert model.graph.initializer[0].raw_data  # which saving would have emptied


NODE = helper.make_node
ENTER = (
    NODE("QuantizeLinear", ["x", "xs", "x0"], ["q"]),
    NODE("DequantizeLinear", ["q", "xs", "x0"], ["d"]),
)
STORED = (NODE("DequantizeLinear", ["w", "ws", "w0"], ["weight"]),)
LEAVE = (
    NODE("QuantizeLinear", ["result", "ys", "x0"], ["z"]),
    NODE("DequantizeLinear", ["z", "ys", "x0"], ["y"]),
)
MULTIPLY = (NODE("MatMul", ["d", "weight"], ["result"]),)
CHANNELS = {"ws": np.full(3, 1 / 127, np.float32), "w0": np.zeros(3, np.int8)}
FLOATS = {"w": np.ones((DEPTH, 3), np.float32)}
# Layers between quantizers: nodes, and constants that are not as in the first.
LAYERS: dict[str, tuple[tuple[NodeProto, ...], dict[str, np.ndarray]]] = {
    "MatMul": ((*ENTER, *STORED, *MULTIPLY, *LEAVE), {}),
    "by channel": (
        (
            *ENTER,
            NODE("DequantizeLinear", ["w", "ws", "w0"], ["weight"], axis=1),
            *MULTIPLY,
            *LEAVE,
        ),
        CHANNELS,
    ),
    "by channel without zero points": (
        (*ENTER, NODE("DequantizeLinear", ["w", "ws"], ["weight"], axis=1), *MULTIPLY, *LEAVE),
        CHANNELS,
    ),
    "without zero points": (
        (*ENTER, NODE("DequantizeLinear", ["w", "ws"], ["weight"]), *MULTIPLY, *LEAVE),
        {},
    ),
    "Gemm": ((*ENTER, *STORED, NODE("Gemm", ["d", "weight"], ["result"]), *LEAVE), {}),
    "transposed in the graph": (
        (
            *ENTER,
            NODE("DequantizeLinear", ["w", "ws", "w0"], ["stored"]),
            NODE("Transpose", ["stored"], ["weight"]),
            *MULTIPLY,
            *LEAVE,
        ),
        {"w": np.full((3, DEPTH), 127, np.int8)},
    ),
    "moved before": (
        (
            *ENTER,
            *STORED,
            NODE("Flatten", ["d"], ["flat"]),
            NODE("MatMul", ["flat", "weight"], ["result"]),
            *LEAVE,
        ),
        {},
    ),
    "shared": (
        (
            *ENTER,
            NODE("DequantizeLinear", ["w", "ws", "w0"], ["weight"]),
            NODE("MatMul", ["d", "weight"], ["first"]),
            NODE("QuantizeLinear", ["first", "xs", "x0"], ["fq"]),
            NODE("DequantizeLinear", ["fq", "xs", "x0"], ["fd"]),
            NODE("MatMul", ["fd", "weight"], ["result"]),
            *LEAVE,
        ),
        {"w": np.eye(DEPTH, dtype=np.int8) * 127},
    ),
    "trained with quantizers": (
        (
            *ENTER,
            NODE("QuantizeLinear", ["w", "ws", "w0"], ["wq"]),
            NODE("DequantizeLinear", ["wq", "ws", "w0"], ["weight"]),
            *MULTIPLY,
            *LEAVE,
        ),
        FLOATS,
    ),
    "two activations": (
        (
            *ENTER,
            NODE("QuantizeLinear", ["x", "xs", "w0"], ["oq"]),
            NODE("DequantizeLinear", ["oq", "xs", "w0"], ["other"]),
            NODE("Gemm", ["d", "other"], ["result"], transB=1),
            *LEAVE,
        ),
        {"ys": np.array(DEPTH * 127, np.float32)},
    ),
    "a constant of a node": (
        (
            *ENTER,
            NODE(
                "Constant",
                [],
                ["c"],
                value=numpy_helper.from_array(np.full((DEPTH, 3), 127, np.int8)),
            ),
            NODE("DequantizeLinear", ["c", "ws", "w0"], ["weight"]),
            *MULTIPLY,
            *LEAVE,
        ),
        {},
    ),
}


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("activation", [UINT8, INT8], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_between_quantizers_are_exact(name: str, activation: np.dtype) -> None:
    nodes, others = LAYERS[name]
    zero = {UINT8: 0, INT8: -128}[activation]
    constants: dict[str, np.ndarray] = {
        "w": np.full((DEPTH, 3), 127, np.int8),
        "ws": np.array(1 / 127, np.float32),
        "w0": np.array(0, np.int8),
        "xs": np.array(1, np.float32),
        "ys": np.array(DEPTH, np.float32),
        "x0": np.array(zero, activation),
    } | others
    used = keep_used(constants, nodes)
    model = make_model(nodes, {"x": [2, DEPTH]}, {"y": None}, used, opset=21)
    feed = {"x": np.full((2, DEPTH), 255, np.float32)}
    (expected,) = ReferenceEvaluator(model).run(None, feed)
    (computed,) = open_session(model, "cpu").native.run(None, feed)
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1.001 * constants["ys"])


def test_a_shipped_int8_model_answers_the_same_in_its_exact_form() -> None:
    model = onnx.load(MOBILENET_INT8)
    exact = make_exact(model)
    with np.load(EVALUATION) as archive:
        pixels = archive["x"][:64].astype(np.float32)
    x = np.zeros((64, 3, 32, 32), np.float32)
    x[:, :, 2:30, 2:30] = pixels[:, None] / 127.5 - 1
    answer, same = (
        open_native(each.SerializeToString(), entries=ENTRIES).run(None, {"image": x})[0]
        for each in (exact, model)
    )
    if not kernels.saturates():
        np.testing.assert_array_equal(answer, same)


def test_default_kernels_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    model, feed, expected = make_product("MatMulInteger", (UINT8, INT8), "xw")
    (computed,) = open_session(model, "cpu", "default").native.run(None, feed)
    assert np.array_equal(computed, expected) != kernels.saturates()
    assert not kernels.may_saturate(onnx.load(LENET))
    monkeypatch.setattr(kernels, "saturates", lambda: True)
    assert kernels.may_saturate(model)
    assert kernels.may_saturate(onnx.load(MOBILENET_INT8))
    assert not kernels.may_saturate(onnx.load(LENET))
