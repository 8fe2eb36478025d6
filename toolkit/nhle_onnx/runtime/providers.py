"""Whether an ONNX Runtime provider truly computes here. A listed provider may still fail."""

import ctypes
import io
from contextlib import redirect_stdout

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, TensorProto, helper, numpy_helper

from nhle_onnx.runtime.native import CPU, CUDA, open_native

_NVIDIA = (CUDA, "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")
_DRIVERS = ("libcuda.so.1", "nvcuda.dll")
_SIDE = 4


def list_providers() -> tuple[str, ...]:
    """List the providers of this ONNX Runtime, the CPU first, and CUDA in any case."""
    return tuple(dict.fromkeys((CPU, CUDA, *ort.get_available_providers())))


def find_provider_fault(provider: str) -> str | None:
    """Return why a provider does not compute a small network as NumPy does, or None if it does.

    No node may run on the CPU instead.
    """
    if provider not in ort.get_available_providers():
        return "ONNX Runtime was built without it"
    if provider in _NVIDIA and not has_cuda_driver():
        return "this machine has no NVIDIA driver"
    if provider == CUDA:
        preload_cuda()
    entries = {} if provider == CPU else {"session.disable_cpu_ep_fallback": "1"}
    generator = np.random.default_rng(0)
    image, kernel = generator.normal(size=(2, 1, 1, _SIDE, _SIDE)).astype(np.float32)
    expected = max(float(np.sum(image * kernel)), 0.0)
    try:
        model = _make_model(kernel).SerializeToString()
        session = open_native(model, [provider], entries)
        if session.get_providers()[0] != provider:
            return f"ONNX Runtime started on {session.get_providers()[0]} instead"
        (answer,) = session.run(None, {"image": image})
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors share no public base class
        return " ".join(str(error).split()) or type(error).__name__
    if np.allclose(answer.ravel(), expected, atol=1e-2):
        return None
    return f"it computes {answer.item():.4f} instead of {expected:.4f}"


def has_cuda_driver() -> bool:
    """Whether this machine has an NVIDIA driver; found out without torch and ONNX Runtime."""
    for name in _DRIVERS:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def preload_cuda() -> None:
    """Load the CUDA libraries that pip installed, if ONNX Runtime can."""
    if hasattr(ort, "preload_dlls"):
        with redirect_stdout(io.StringIO()):  # it prints the libraries that it does not find
            ort.preload_dlls()


def _make_model(kernel: np.ndarray) -> ModelProto:
    """Make a model of a convolution over the whole image, and a ReLU."""
    shape = [1, 1, _SIDE, _SIDE]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel"], ["sum"]),
            helper.make_node("Relu", ["sum"], ["score"]),
        ],
        "trial",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [1, 1, 1, 1])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
