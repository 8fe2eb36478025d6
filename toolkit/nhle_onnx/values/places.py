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
# fmt: off
Device = Literal[
    "auto", "cpu", "cuda",
    "cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:4", "cuda:5", "cuda:6", "cuda:7",
]
# fmt: on
DEVICE_METAVAR: Final = "auto|cpu|cuda[:N]"  # as help writes them
Runtime = Literal["onnxruntime", "openvino"]
