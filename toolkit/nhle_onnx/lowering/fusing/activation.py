"""Activations in parts: Gelu by Erf or by Tanh, and x · sigmoid(x)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, fx
from torch.nn import functional

from nhle_onnx.lowering.fusing.steps import Fused, Steps, in_both_orders

_CLOSE = 1e-6  # relative: float32 rounds the constants
_BY_ERF = {1: math.sqrt(1 / 2)}
_BY_TANH = {1: math.sqrt(2 / math.pi), 3: 0.044715 * math.sqrt(2 / math.pi)}


def fuse_silu(node: fx.Node, steps: Steps) -> Fused | None:
    """Fuse x · sigmoid(x)."""
    for x, gate in in_both_orders(steps.read(node, "mul")):
        if steps.read_inner(gate, "sigmoid") == (x,):
            return Fused(functional.silu, (x,))
    return None


def fuse_gelu(node: fx.Node, steps: Steps) -> Fused | None:
    """Fuse x · (1 + erf(x / √2)) / 2, its constants in any place, or its approximation by tanh."""
    half, factors = steps.find_factors(node)
    if not math.isclose(half, 0.5, rel_tol=_CLOSE):
        return None
    for x, gate in in_both_orders(factors):
        for curve, one in in_both_orders(steps.read_inner(gate, "add")):
            if steps.find_number(one) != 1.0:
                continue
            if _is_polynomial(steps.read_inner(curve, "erf"), x, _BY_ERF, steps):
                return Fused(functional.gelu, (x,))
            if _is_polynomial(steps.read_inner(curve, "tanh"), x, _BY_TANH, steps):
                return Fused(gelu_by_tanh, (x,))
    return None


def gelu_by_tanh(x: Tensor) -> Tensor:
    """Gelu by tanh."""
    return functional.gelu(x, approximate="tanh")


def _is_polynomial(
    arguments: Sequence[Any], x: object, expected: Mapping[int, float], steps: Steps
) -> bool:
    """Whether the only argument is a polynomial in x with the expected coefficients by power."""
    found = steps.find_polynomial(arguments[0], x) if arguments else {}
    return found.keys() == expected.keys() and all(
        math.isclose(found[power], factor, rel_tol=_CLOSE) for power, factor in expected.items()
    )
