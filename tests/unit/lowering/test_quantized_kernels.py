"""How each kernel of ONNX Runtime rounds ties, and saturates; and what is not supported of them."""

import ml_dtypes
import numpy as np
import pytest
from onnx import NodeProto, TensorProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.lowering.operators import OPERATORS
from support.graphs import MICROSOFT, make_node
from support.quantized_layers import IDENTITIES, make_identity
from support.quantized_nets import (
    BYTES,
    INT8,
    SCALES,
    UINT8,
    Attributes,
    Kind,
    Net,
    draw_numbers,
    draw_weight,
    get_limits,
    make_product,
    spell,
)
from support.quantized_runs import assert_same, lower, make_and_run, run_both

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("shift", [0, 1], ids=["odd", "even"])
@pytest.mark.parametrize("kind", BYTES, ids=str)
@pytest.mark.parametrize("op_type", IDENTITIES)
def test_kernels_round_half_to_even(op_type: str, kind: Kind, shift: int) -> None:
    """Half to an even number, or to an even count of steps: each kernel has its own way."""
    assert_same(*make_identity(op_type, kind, 0.5, shift))


@pytest.mark.parametrize("op_type", IDENTITIES)
@pytest.mark.parametrize("kind", BYTES, ids=str)
def test_kernels_saturate(kind: Kind, op_type: str) -> None:
    net, x = make_identity(op_type, kind, 2.0)
    expected, computed = run_both(net, x)
    np.testing.assert_array_equal(computed, expected)
    assert {expected.min(), expected.max()} == set(get_limits(kind))


def test_every_operator_of_microsofts_domain_is_tested() -> None:
    """MatMulNBits is in test_quantized_training.py."""
    tested = {"DequantizeLinear", "QuantizeLinear", "QLinearSigmoid", "QLinearSoftmax"}
    tested |= {"MatMulNBits"}
    rows = [row for row in OPERATORS if row.domain == MICROSOFT and row.family != "fused"]
    assert {row.op_type for row in rows} == tested | (IDENTITIES.keys() - {"QLinearMatMul"})


FLOAT8 = np.dtype(ml_dtypes.float8_e4m3fn)
CHANNELS_LAST: Attributes = {"channels_last": 1, "domain": MICROSOFT}


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([make_node("QLinearConv", spell("x w y"), **CHANNELS_LAST)], "channels_last"),
        (
            [make_node("QLinearAveragePool", spell("x y"), kernel_shape=[3, 3], **CHANNELS_LAST)],
            "channels_last",
        ),
        (
            [
                make_node("DequantizeLinear", spell("x"), "real"),
                make_node(
                    "QuantizeLinear", "real x_scale", "q", output_dtype=TensorProto.FLOAT8E5M2
                ),
                make_node("DequantizeLinear", "q x_scale"),
            ],
            "QuantizeLinear to FLOAT8E5M2",
        ),
        (
            [
                make_node("DequantizeLinear", "float8 x_scale", "weight"),
                make_node("DequantizeLinear", spell("x"), "real"),
                make_node("Add", "real weight"),
            ],
            "FLOAT8E4M3FN",
        ),
    ],
    ids=["convolution", "pool", "float8", "float8 weight"],
)
def test_what_is_not_supported_is_named(nodes: list[NodeProto], message: str) -> None:
    constants = make_product(UINT8, draw_weight(INT8, 6, 4, 3, 3), SCALES[0])
    constants["float8"] = np.ones(4, FLOAT8)
    model, _ = make_and_run(Net(nodes, constants), draw_numbers(UINT8, 2, 7, 9, 4))
    with pytest.raises(UnsupportedModelError, match=message):
        lower(model)
