"""How ONNX Runtime sums products of 8-bit numbers: exactly, or by this processor's own kernels."""

from typing import Literal

Kernels = Literal["exact", "default"]
