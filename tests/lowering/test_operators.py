"""Operators against the `onnx` package's backend node tests: an oracle that we did not write."""

from importlib import import_module
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from node_cases import list_cases, make_constant_but_first
from onnx import TensorProto, helper
from onnx.backend.test.case.test_case import TestCase

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.lowering.module import lower_model
from nhle_onnx.lowering.operators import OPERATORS
from nhle_onnx.values.model import OnnxModel

# Each refuses clearly, or asks for what inference does not have.
REFUSED = {
    "auto_pad is refused with a remedy": (
        "test_averagepool_2d_precomputed_same_upper",
        "test_averagepool_2d_same_lower",
        "test_averagepool_2d_same_upper",
        "test_conv_with_autopad_same",
        "test_maxpool_2d_precomputed_same_upper",
        "test_maxpool_2d_same_lower",
        "test_maxpool_2d_same_upper",
    ),
    "dilated or uneven average pooling is refused": (
        "test_averagepool_2d_dilations",
        "test_averagepool_2d_pads",
        "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_False",
        "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_True",
        "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_False",
        "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True",
        "test_averagepool_3d_dilations_small",
    ),
    "rare modes are refused": ("test_slice_neg_steps", "test_wrap_pad"),
}
INAPPLICABLE = {
    "batch statistics belong to training": (
        "test_batchnorm_epsilon_training_mode",
        "test_batchnorm_example_training_mode",
    ),
    "torch has no arithmetic on these unsigned integers": tuple(
        f"test_{name}_uint{bits}" for name in ("add", "div", "sub") for bits in (16, 32, 64)
    ),
}
_REFUSED_NAMES = {name for names in REFUSED.values() for name in names}
_LEFT_OUT = {name for names in INAPPLICABLE.values() for name in names}
CASES = [case for case in list_cases() if case.name not in _LEFT_OUT]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.removeprefix("test_"))
def test_node(case: TestCase) -> None:
    proto, inputs, expected = make_constant_but_first(case)
    model = OnnxModel(path=Path("case.onnx"), proto=proto, sha256="", size_bytes=0)
    source, output = proto.graph.input[0].name, proto.graph.output[0].name
    if case.name in _REFUSED_NAMES:
        with pytest.raises(UnsupportedModelError):
            lower_model(model, source=source, output=output)
        return
    module = lower_model(model, source=source, output=output).module
    computed = module(torch.from_numpy(np.array(inputs))).detach().numpy()
    assert computed.dtype == expected.dtype
    np.testing.assert_allclose(computed, expected, rtol=1e-3, atol=1e-5)


def test_there_are_cases_for_almost_every_operator() -> None:
    """Constant has no input, and the package's collection holds no plain case of Cast."""
    tested = {case.model.graph.node[0].op_type for case in CASES}
    assert {row.op_type for row in OPERATORS} - tested <= {"Cast", "Constant"}
    assert len(CASES) > 200


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.FLOAT16, TensorProto.BOOL])
def test_cast_as_onnxruntime_does(kind: int) -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["y"], to=kind)],
        "cast",
        [value("x", TensorProto.FLOAT, [6])],
        [value("y", kind, [6])],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    inputs = np.array([-2.7, -0.5, 0.0, 0.49, 1.5, 300.2], np.float32)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": inputs})[0]
    model = OnnxModel(path=Path("cast.onnx"), proto=proto, sha256="", size_bytes=0)
    computed = lower_model(model, source="x", output="y").module(torch.from_numpy(inputs)).numpy()
    assert computed.dtype == expected.dtype
    np.testing.assert_array_equal(computed, expected)


@pytest.mark.parametrize("row", OPERATORS, ids=lambda row: f"{row.op_type}-{row.since}")
def test_every_row_has_its_function(row: object) -> None:
    family = import_module(f"nhle_onnx.lowering.ops.{row.family}")
    assert callable(getattr(family, row.function_name))


def test_rows_of_one_operator_do_not_overlap() -> None:
    for opset in range(7, 26):
        served = [(row.domain, row.op_type) for row in OPERATORS if row.serves(opset)]
        assert len(served) == len(set(served))
