"""What models run in and where, and where torch trains."""

from collections.abc import Mapping
from typing import Final, Literal

Provider = Literal["auto", "cpu", "cuda"]
OrtProvider = Literal["CPUExecutionProvider", "CUDAExecutionProvider"]
# ONNX Runtime's own names for them
ORT_PROVIDERS: Final[Mapping[str, Provider]] = {
    "CPUExecutionProvider": "cpu",
    "CUDAExecutionProvider": "cuda",
}
Device = Literal["auto", "cpu", "cuda"]
Runtime = Literal["onnxruntime", "openvino"]
