"""What ONNX Runtime computes as users run it, and what the lowered module does."""

import platform
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import ModelProto, ValueInfoProto, helper
from onnx.reference import ReferenceEvaluator

from nhle_onnx.graph.load import load_model
from nhle_onnx.lowering.module import LoweredModel, lower_model
from nhle_onnx.runtime import session as runtime
from support.graphs import keep_used, make_model
from support.quantized_nets import Net

IS_X86 = platform.machine().lower() in {"x86_64", "amd64"}


def make_and_run(net: Net, x: np.ndarray) -> tuple[ModelProto, np.ndarray]:
    """The model, and what ONNX Runtime computes with it."""
    tensors = keep_used(net.constants, net.nodes)
    model = make_model(net.nodes, {"x": None}, {"y": None}, tensors, net.opset)
    _declare(model.graph.input[0], x)
    expected: np.ndarray = open_session(model).run(None, {"x": x})[0]
    _declare(model.graph.output[0], expected)
    return model, expected


def _declare(value: ValueInfoProto, example: np.ndarray) -> None:
    """Of the example's type, and of any extents."""
    kind = helper.np_dtype_to_tensor_dtype(example.dtype)
    value.CopyFrom(helper.make_tensor_value_info(value.name, kind, [None] * example.ndim))


def open_session(model: ModelProto) -> ort.InferenceSession:
    """With exact sums: this processor's own kernels may saturate."""
    return runtime.open_session(model, "cpu").native


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
    model, expected = make_and_run(net, x)
    assert len(np.unique(expected)) > 3  # else nothing but saturation would be compared
    return expected, run_module(lower(model), x)


def assert_same(net: Net, x: np.ndarray) -> None:
    """Every number; where a kernel of another processor takes ties to the other side, but for one
    step.
    """
    expected, computed = run_both(net, x)
    if not IS_X86 and any(node.op_type == "QLinearAdd" for node in net.nodes):
        assert np.abs(computed - expected).max() <= 1
    else:
        np.testing.assert_array_equal(computed, expected)


def assert_same_sums(net: Net, x: np.ndarray) -> None:
    """As NumPy sums whole numbers, in the `onnx` package's reference; so must ONNX Runtime."""
    model, computed_by_runtime = make_and_run(net, x)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_array_equal(computed_by_runtime, expected)
    np.testing.assert_array_equal(run_module(lower(model), x), expected)


def assert_same_reals(net: Net, x: np.ndarray) -> None:
    """But for the order of sums."""
    expected, computed = run_both(net, x)
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-6 * abs(expected).max())


def assert_near(net: Net, x: np.ndarray, step: float = 1.0) -> None:
    assert_within_one_step(*run_both(net, x), step)


def assert_within_one_step(expected: np.ndarray, computed: np.ndarray, step: float) -> None:
    """Everywhere, and the same in 99 % of places."""
    steps = np.abs(computed - expected) / step
    assert steps.max() < 1.5
    assert np.mean(steps > 0.5) <= 0.01
