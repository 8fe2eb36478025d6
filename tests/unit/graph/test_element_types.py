"""To add a number format is one row."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ml_dtypes import float8_e5m2, int2
from onnx import TensorProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.element_types import ELEMENT_TYPES, get_range
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.lowering.module import lower_classifier
from nhle_onnx.lowering.precision import widen_model
from support.graphs import make_node as node
from support.head_forms import BIAS, CLASSES, FEATURES, RNG, WEIGHT, Form, fill_rows, load

NUMBERS = RNG.integers(-2, 2, (CLASSES, FEATURES))
NARROW = WEIGHT.astype(float8_e5m2)
FORMS = {
    TensorProto.INT2: Form(
        nodes=[node("DequantizeLinear", "w s", "r"), node("Gemm", "x r b", "y", transB=1)],
        tensors={"w": NUMBERS.astype(int2), "s": np.float32(0.5), "b": BIAS},
        op="Gemm", weight=NUMBERS * 0.5,
    ),
    TensorProto.FLOAT8E5M2: Form(
        nodes=[
            node("Cast", "w", "r", to=TensorProto.FLOAT), node("Gemm", "x r b", "y", transB=1),
        ],
        tensors={"w": NARROW, "b": BIAS}, op="Gemm", weight=NARROW.astype(np.float64),
    ),
}  # fmt: skip
NEAREST = {TensorProto.INT2: 0.5, TensorProto.FLOAT8E5M2: 0.375}  # to 0.4
CHANGES = {
    TensorProto.INT2: {"range": (-2, 1), "torch": "int8"},
    TensorProto.FLOAT8E5M2: {"is_real": True, "is_trained": True, "torch": "float8_e5m2"},
}


@pytest.mark.parametrize("kind", FORMS, ids=TensorProto.DataType.Name)
def test_one_row_adds_a_number_format(
    kind: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is read, written, rounded, named, and trained."""
    form = FORMS[kind]
    with pytest.raises(UnsupportedModelError, match=r"reads w"):
        find_head(load(form, tmp_path))
    row = replace(ELEMENT_TYPES[kind], **CHANGES[kind])
    monkeypatch.setitem(ELEMENT_TYPES, kind, row)
    model = load(form, tmp_path)
    head = Head(model.proto, find_head(model))
    assert head.element_type is row
    np.testing.assert_allclose(head.rows.weight, form.weight)
    wide = replace(model, proto=widen_model(model.proto))
    lowered = lower_classifier(wide, source="x", head=head.layout)
    x = torch.rand(3, FEATURES)
    expected = x.numpy() @ form.weight.T + BIAS
    np.testing.assert_allclose(lowered.module(x)[0].detach(), expected, atol=1e-5)
    assert lowered.parameter_of.keys() >= {"w"}
    fill_rows(head, [1], 0.4)
    assert set(head.rows.weight[1]) == {NEAREST[kind]}


def test_floats_have_no_range_of_whole_numbers() -> None:
    assert get_range(TensorProto.INT8) == (-128, 127)
    for kind in (TensorProto.FLOAT, 10**6):  # the latter is not defined
        with pytest.raises(KeyError):
            get_range(kind)
