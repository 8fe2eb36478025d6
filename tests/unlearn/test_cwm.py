"""The law of the mask: a floored class never wins, for any finite features."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from nhle_onnx.unlearn.cwm import HeadValues, find_floor, mask_classes
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.request import ForgetRequest

K, D = 4, 5
BOUNDED = st.floats(-(2.0**50), 2.0**50, width=32)
REQUEST = ForgetRequest(forget=(0, 2), num_classes=K)


def make_head(class_axis: int = 0, bias_scale: float = 1.0) -> ClassifierHead:
    return ClassifierHead(
        op="Gemm", node="head", weight="w", bias="b", bias_scale=bias_scale,
        class_axis=class_axis, num_classes=K, feature_dim=D, features="h", logits="z", scores="z",
        is_clamped=False, output="z",
    )  # fmt: skip


@given(
    arrays(np.float32, (3, D), elements=BOUNDED),
    arrays(np.float32, (K, D), elements=BOUNDED),
    arrays(np.float32, K, elements=BOUNDED),
    st.sampled_from([0, 1]),
    st.sampled_from([1.0, -1.0, 0.5, 3.0, -7.5]),
)
def test_floor_never_wins(
    features: np.ndarray, weight: np.ndarray, bias: np.ndarray, class_axis: int, beta: float
) -> None:
    """Through the `onnx` package's own Gemm, for either storage of the weight and any beta."""
    stored = weight if class_axis == 0 else np.ascontiguousarray(weight.T)
    values = HeadValues(weight=stored, bias=bias)
    masked = mask_classes(values, make_head(class_axis, beta), REQUEST, "floor")
    node = helper.make_node("Gemm", ["h", "w", "b"], ["z"], transB=1 - class_axis, beta=beta)
    graph = helper.make_graph(
        [node],
        "head",
        [helper.make_tensor_value_info("h", TensorProto.FLOAT, [3, D])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [3, K])],
        [numpy_helper.from_array(masked.weight, "w"), numpy_helper.from_array(masked.bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    logits = ReferenceEvaluator(model).run(None, {"h": features})[0]
    assert np.isfinite(logits).all()
    assert not np.isin(logits.argmax(1), REQUEST.forget).any()


@pytest.mark.parametrize("mask", ["floor", "zero"])
@pytest.mark.parametrize("class_axis", [0, 1])
def test_other_rows_keep_their_bytes(mask: str, class_axis: int) -> None:
    rng = np.random.default_rng(0)
    shape = (K, D) if class_axis == 0 else (D, K)
    values = HeadValues(
        weight=rng.normal(size=shape).astype(np.float32), bias=rng.normal(size=K).astype(np.float32)
    )
    masked = mask_classes(values, make_head(class_axis), REQUEST, mask)
    rows, before = (item.weight if class_axis == 0 else item.weight.T for item in (masked, values))
    assert not rows[[0, 2]].any()
    assert rows[[1, 3]].tobytes() == before[[1, 3]].tobytes()
    assert masked.bias[[1, 3]].tobytes() == values.bias[[1, 3]].tobytes()


def test_zero_can_win() -> None:
    """Why `floor` is the default: a logit of 0 beats negative ones."""
    values = HeadValues(weight=np.full((K, D), -1, np.float32), bias=np.zeros(K, np.float32))
    masked = mask_classes(values, make_head(), REQUEST, "zero")
    assert (masked.weight @ np.ones(D) + masked.bias).argmax() in REQUEST.forget


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_floor_is_finite_in_its_format(dtype: type) -> None:
    values = HeadValues(weight=np.zeros((K, D), dtype), bias=np.zeros(K, dtype))
    floor = find_floor(values, make_head()).astype(dtype)
    assert np.isfinite(floor).all()
    assert (floor == np.finfo(dtype).min).all()


def test_importance_masks_the_most_active_units() -> None:
    values = HeadValues(weight=np.ones((K, D), np.float32), bias=np.ones(K, np.float32))
    activations = np.array([[5, 4, 3, 2, 1], [0, 0, 9, 0, 8]], np.float32)
    masked = mask_classes(values, make_head(), REQUEST, "importance", activations)
    np.testing.assert_array_equal(masked.weight[0], [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(masked.weight[2], [1, 1, 0, 1, 0])
    np.testing.assert_array_equal(masked.weight[[1, 3]], 1)
    with pytest.raises(ValueError, match="activations"):
        mask_classes(values, make_head(), REQUEST, "importance")
