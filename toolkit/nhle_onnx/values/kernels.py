"""How ONNX Runtime sums products of 8-bit numbers: exactly, or with its default kernels."""

from typing import Literal

Kernels = Literal["exact", "default"]
