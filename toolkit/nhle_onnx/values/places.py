"""What models run in and where, and where torch trains."""

from typing import Literal

Provider = Literal["auto", "cpu", "cuda"]
Device = Literal["auto", "cpu", "cuda"]
Runtime = Literal["onnxruntime", "openvino"]
