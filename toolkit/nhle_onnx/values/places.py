"""Where models run in ONNX Runtime, and where torch trains."""

from typing import Literal

Provider = Literal["auto", "cpu", "cuda"]
Device = Literal["auto", "cpu", "cuda"]
