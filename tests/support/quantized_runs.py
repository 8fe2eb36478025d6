"""What ONNX Runtime computes as users run it, and what the lowered module does."""

import platform
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import ModelProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from nhle_onnx.graph.load import load_model
from nhle_onnx.lowering.module import LoweredModel, lower_model
from nhle_onnx.runtime import session as runtime
from support.quantized_nets import MICROSOFT, Net

IS_X86 = platform.machine().lower() in {"x86_64", "amd64"}


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
    model, expected = make_model(net, x)
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
    model, computed_by_runtime = make_model(net, x)
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
