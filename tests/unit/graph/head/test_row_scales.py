"""Rows that quantization left with a scale of their own: the original's rows are put back in it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper, numpy_helper

from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.load import load_model
from support.graphs import make_model, run_model

CLASSES, FEATURES, MASKED = 4, 6, 2
_RNG = np.random.default_rng(5)
WEIGHT = _RNG.normal(size=(CLASSES, FEATURES)).astype(np.float32)
BIAS = _RNG.normal(size=CLASSES).astype(np.float32)
X_SCALE = np.float32(0.02)
KINDS = {"int8": (np.int8, 127, 0), "uint8": (np.uint8, 255, 128), "low uint8": (np.uint8, 255, 0)}


def quantize(
    weight: np.ndarray, bias: np.ndarray, kind: str, own: float, *, turned: bool
) -> ModelProto:
    """A QDQ head, row by row; a row of zeros has a scale and zero point of the quantizer's own."""
    number, top, middle = KINDS[kind]
    is_zero = ~weight.any(1)
    scales = np.where(is_zero, own, np.abs(weight).max(1) / 127).astype(np.float32)
    points = np.where(is_zero, middle, KINDS["uint8"][2] if number is np.uint8 else 0)
    integers = np.rint(weight / scales[:, None]) + points[:, None]
    integers = integers.clip(np.iinfo(number).min, top).astype(number)
    axis = 1 if turned else 0
    tensors = {
        "w": integers.T.copy() if turned else integers, "ws": scales, "wz": points.astype(number),
        "b": np.rint(bias / (scales * X_SCALE)).astype(np.int32), "bs": scales * X_SCALE,
        "bz": np.zeros(CLASSES, np.int32), "xs": X_SCALE, "xz": np.int8(0),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xr"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wr"], axis=axis),
        helper.make_node("DequantizeLinear", ["b", "bs", "bz"], ["br"], axis=0),
        helper.make_node("Gemm", ["xr", "wr", "br"], ["y"], transB=int(not turned)),
    ]
    return make_model(
        nodes, {"x": ["n", FEATURES]}, {"y": ["n", CLASSES]},
        {name: np.asarray(values) for name, values in tensors.items()}, opset=19,
    )  # fmt: skip


def make_float() -> ModelProto:
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)]
    shapes = {"x": ["n", FEATURES]}, {"y": ["n", CLASSES]}
    return make_model(nodes, *shapes, {"w": WEIGHT, "b": BIAS}, opset=19)


def open_head(proto: ModelProto, path: Path) -> Head:
    onnx.save(proto, path)
    model = load_model(path)
    return Head(model.proto, find_head(model))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("own", [1.0, 1e-9])
@pytest.mark.parametrize("kind", KINDS)
def test_a_masked_row_takes_the_original_s_numbers(
    kind: str,
    own: float,
    turned: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
) -> None:
    weight, bias = WEIGHT.copy(), BIAS.copy()
    weight[MASKED], bias[MASKED] = 0, 0
    original = open_head(make_float(), tmp_path / "original.onnx")
    head = open_head(quantize(weight, bias, kind, own, turned=turned), tmp_path / "masked.onnx")
    before = head.proto.SerializeToString()
    restored = head.restore(original)
    assert head.proto.SerializeToString() == before
    assert Head(restored, head.layout).find_lost(original) is None
    images = _RNG.uniform(-2, 2, (50, FEATURES)).astype(np.float32)
    (found,) = run_model(restored, images, fuses=False)
    (expected,) = run_model(original.proto, images)
    assert np.abs(found - expected).max() < 0.15
    for name in ("ws", "bs", "wz"):
        kept = [index for index in range(CLASSES) if index != MASKED]
        was, now = (read(each, name) for each in (head.proto, restored))
        np.testing.assert_array_equal(now[kept], was[kept])
    np.testing.assert_allclose(read(restored, "bs") / read(restored, "ws"), X_SCALE, rtol=1e-5)
    assert np.abs(read(restored, "ws")[MASKED] * 127 / np.abs(WEIGHT[MASKED]).max() - 1) < 0.02


def test_a_quantized_original_gives_its_own_scales(tmp_path: Path) -> None:
    """So its integers are the same to the last bit."""
    weight, bias = WEIGHT.copy(), BIAS.copy()
    weight[MASKED], bias[MASKED] = 0, 0
    original = open_head(quantize(WEIGHT, BIAS, "int8", 1.0, turned=False), tmp_path / "a.onnx")
    masked = open_head(quantize(weight, bias, "int8", 1.0, turned=False), tmp_path / "b.onnx")
    restored = masked.restore(original)
    for name in ("w", "ws", "wz", "b", "bs"):
        np.testing.assert_array_equal(read(restored, name), read(original.proto, name))


def read(proto: ModelProto, name: str) -> np.ndarray:
    (found,) = [each for each in proto.graph.initializer if each.name == name]
    return numpy_helper.to_array(found)
