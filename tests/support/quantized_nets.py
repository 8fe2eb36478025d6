"""Small quantized graphs, and numbers to give them.

Types that ONNX Runtime has no kernel for are left out of the lists.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from hypothesis import strategies as st
from onnx import NodeProto, helper

from nhle_onnx.graph.element_types import get_range
from support.graphs import MICROSOFT, make_node

INT4, UINT4 = np.dtype(ml_dtypes.int4), np.dtype(ml_dtypes.uint4)
INT8, UINT8, INT16, UINT16, INT32 = map(np.dtype, ("int8", "uint8", "int16", "uint16", "int32"))
BYTES = (UINT8, INT8)
KINDS = (*BYTES, INT16, UINT16, INT4, UINT4)
STORED = (*KINDS, INT32)
PAIRS = ((UINT8, UINT8), (UINT8, INT8), (INT8, INT8))  # of an activation and a weight
ALL_PAIRS = (*PAIRS, (INT8, UINT8))
# Odd: a kernel that adds it before it rounds takes every second tie to the other side.
ZEROS = {UINT8: 113, INT8: -9, INT16: -301, UINT16: 30001, INT4: -3, UINT4: 5}
# The second pair makes ties, which QLinearAdd rounds so on x86 alone.
SCALES = ((0.02173, 0.01339), (0.5, 0.25))
IMAGE = (2, 4, 7, 9)
UNEVEN = {"pads": [1, 0, 2, 1], "strides": [2, 3]}
BEYOND = (-np.inf, -1e30, -3e9, 3e9, 1e30, np.inf)  # every type's range
ANY_REAL = (
    st.floats(width=32, allow_nan=False)
    | st.floats(-300, 300, width=32)
    | st.sampled_from([float(np.float32(value)) for value in BEYOND])
)

Kind = np.dtype[Any]
Attributes = dict[str, Any]


class Net(NamedTuple):
    """A graph from the input `x` to the output `y`, in which all other inputs are constant."""

    nodes: Sequence[NodeProto]
    constants: Mapping[str, np.ndarray]
    opset: int = 21

    def with_constants(self, **constants: np.ndarray) -> "Net":
        return self._replace(constants={**self.constants, **constants})


def get_limits(kind: Kind) -> tuple[int, int]:
    return get_range(helper.np_dtype_to_tensor_dtype(kind))


def list_numbers(kind: Kind) -> np.ndarray:
    low, high = get_limits(kind)
    return np.arange(low, high + 1).astype(kind)


def draw_numbers(kind: Kind, *shape: int, seed: int = 0) -> np.ndarray:
    low, high = get_limits(kind)
    return np.random.default_rng(seed).integers(low, high + 1, shape).astype(kind)


def draw_weight(kind: Kind, *shape: int) -> np.ndarray:
    """Of the whole range, by another seed than what it is multiplied by."""
    return draw_numbers(kind, *shape, seed=1)


def draw_reals(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def make_scale(scale: float, count: int = 0) -> np.ndarray:
    """One scale, or one for each of `count` channels."""
    spread = np.random.default_rng(0).uniform(0.5, 2.0, count) if count else np.ones(())
    return np.asarray(scale * spread, np.float32)


def make_grid(name: str, kind: Kind, scale: float, count: int = 0) -> dict[str, Any]:
    """Scale and zero point of a tensor, by their names in the graph."""
    zero_point = np.full((count,) if count else (), ZEROS[kind], kind)
    return {f"{name}_scale": make_scale(scale, count), f"{name}_zero": zero_point}


def spell(names: str) -> str:
    """Numbers, scale and zero point of each tensor; of the output `y`, scale and zero point."""
    forms = {"y": "y_scale y_zero", "-": "-", "bias": "bias"}
    return " ".join(forms.get(name, f"{name} {name}_scale {name}_zero") for name in names.split())


def draw_bias(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-9000, 9000, count).astype(np.int32)


def make_product(
    kind: Kind,
    weight: np.ndarray,
    scales: tuple[float, float],
    count: int = 0,
    gain: float = 1.0,
) -> dict[str, np.ndarray]:
    """Constants of a layer, whose output's range holds two standard deviations of the sums."""
    x_scale, scale = scales
    fan_in = max(len(weight), weight[0].size)  # the inputs are more than the outputs here
    return {
        **make_grid("x", kind, x_scale),
        **make_grid("w", weight.dtype, scale, count),
        "w": weight,
        "y_scale": make_scale(x_scale * scale * gain * fan_in**0.5 * 64),
        "y_zero": np.asarray(ZEROS[kind], kind),
    }


def make_unary(
    op_type: str,
    kind: Kind,
    x_scale: float,
    y_scale: float,
    **attributes: Any,  # noqa: ANN401
) -> Net:
    constants = {**make_grid("x", kind, x_scale), **make_grid("y", kind, y_scale)}
    return Net([make_node(op_type, spell("x y"), domain=MICROSOFT, **attributes)], constants)


def make_round_trip(
    kind: Kind,
    count: int = 0,
    *,
    domain: str = "",
    opset: int = 21,
    **attributes: Any,  # noqa: ANN401
) -> Net:
    """To whole numbers, whose range holds two standard deviations, and back."""
    low, high = get_limits(kind)
    params = make_grid("q", kind, 4.0 / (high - low), count)
    if count:
        params["q_zero"] = (ZEROS[kind] + np.arange(count) % 3).astype(kind)
    nodes = [
        make_node("QuantizeLinear", "x q_scale q_zero", "q", domain=domain, **attributes),
        make_node("DequantizeLinear", spell("q"), domain=domain, **attributes),
    ]
    return Net(nodes, params, opset)


UNEVEN = {"pads": [1, 0, 2, 1], "strides": [2, 3]}
IMAGE = (2, 4, 7, 9)
BEYOND = (-np.inf, -1e30, -3e9, 3e9, 1e30, np.inf)  # every type's range
ANY_REAL = (
    st.floats(width=32, allow_nan=False)
    | st.floats(-300, 300, width=32)
    | st.sampled_from([float(np.float32(value)) for value in BEYOND])
)


DYNAMIC_ROUND_TRIP = Net(
    [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "q_scale", "q_zero"]),
        make_node("DequantizeLinear", spell("q")),
    ],
    {},
)
