"""A bias whose format ends above the lowest score: of weights and features of 16 bits, a step of it
is so small that 32 bits reach no further.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.hints import word
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.workflows.masking import mask_head
from support.graphs import run_model
from support.head_forms import BIAS, CLASSES, FEATURES, RNG, WEIGHT, Form, load, node

LARGEST = np.float32(0.1)  # feature
IN_STEP, ONE_STEP = LARGEST / np.float32(2**15), np.abs(WEIGHT).max() / np.float32(2**15 - 1)
BIAS_STEP = np.float32(IN_STEP * ONE_STEP)
LOW_BIAS = 0.05 * BIAS - 0.2


def make(bias: np.ndarray) -> Form:
    """Gemm in QDQ of 16 bits, with room for every score."""
    return Form(
        nodes=[
            node("QuantizeLinear", "x is ip", "xq"), node("DequantizeLinear", "xq is ip", "xr"),
            node("DequantizeLinear", "w s p", "wr"), node("DequantizeLinear", "b bs", "br"),
            node("Gemm", "xr wr br", "z", transB=1),
            node("QuantizeLinear", "z os op", "zq"), node("DequantizeLinear", "zq os op", "y"),
        ],
        tensors={
            "is": IN_STEP, "ip": np.int16(0), "w": np.rint(WEIGHT / ONE_STEP).astype(np.int16),
            "s": ONE_STEP, "p": np.int16(0), "b": np.rint(bias / BIAS_STEP).astype(np.int32),
            "bs": BIAS_STEP, "os": np.float32(2 / 2**15), "op": np.int16(0),
        },
        op="Gemm",
    )  # fmt: skip


def forget(*classes: int) -> ForgetRequest:
    return ForgetRequest(forget=classes, num_classes=CLASSES)


@pytest.mark.parametrize("forgotten", [(index,) for index in range(CLASSES)] + [(0, 2)])
def test_a_bias_that_ends_above_the_lowest_score_reaches_it_with_larger_steps(
    forgotten: tuple[int, ...], tmp_path: Path
) -> None:
    model = load(make(LOW_BIAS), tmp_path)
    head = find_head(model)
    before = Head(model.proto, head).read()
    request = forget(*forgotten)
    with pytest.raises(UnsupportedModelError, match="a masked class could win") as raised:
        mask_head(model.proto, head, request, UnlearnOptions())
    assert "--rescale" in word(raised.value.remedy, "flags")

    model = load(make(LOW_BIAS), tmp_path)
    masked = mask_head(model.proto, head, request, UnlearnOptions(rescale=True))
    assert masked.rescaled == ("bs", "s")
    (note,) = masked.notes
    assert "steps of its weights and biases were enlarged" in note
    features = RNG.uniform(-LARGEST, LARGEST, (20_000, FEATURES))
    corners = np.array([*product((-LARGEST, LARGEST), repeat=FEATURES)])
    inputs = np.concatenate([corners, features]).astype(np.float32)
    (scores,) = run_model(model.proto, inputs)
    lost = list(forgotten)
    assert scores[:, lost].max() == pytest.approx(-2, abs=1e-3)
    assert scores[:, request.retained].min() > -1

    (weight, bias), kept = Head(model.proto, head).read(), list(request.retained)
    tensors = {each.name: numpy_helper.to_array(each) for each in model.proto.graph.initializer}
    assert tensors["bs"] == tensors["is"] * tensors["s"]
    assert np.abs(weight - before[0])[kept].max() <= tensors["s"] / 2
    assert np.abs(bias - before[1])[kept].max() <= tensors["bs"] / 2
    assert not weight[lost].any()


@pytest.mark.parametrize("shared", ["s", "bs"])
def test_steps_that_serve_other_tensors_stay(shared: str, tmp_path: Path) -> None:
    form = make(LOW_BIAS)
    extra = node("DequantizeLinear", f"other {shared}", "more")
    tensors = {**form.tensors, "other": np.array([1, 2], np.int16)}
    model = load(replace(form, nodes=[*form.nodes, extra], tensors=tensors), tmp_path)
    with pytest.raises(UnsupportedModelError, match="serve other tensors"):
        mask_head(model.proto, find_head(model), forget(1), UnlearnOptions(rescale=True))


def test_what_was_given_in_vain_is_no_remedy(tmp_path: Path) -> None:
    """Features that no grid bounds bring every score down, however wide the output's range is."""
    form = make(LOW_BIAS)
    nodes = [form.nodes[2], node("Gemm", "x wr b", "z", transB=1), *form.nodes[5:]]
    tensors = {**form.tensors, "b": LOW_BIAS.astype(np.float32)}
    model = load(replace(form, nodes=nodes, tensors=tensors), tmp_path)
    for rescale in (False, True):
        options = UnlearnOptions(rescale=rescale)
        with pytest.raises(UnsupportedModelError, match="class 0 wins such a tie") as raised:
            mask_head(model.proto, find_head(model), forget(0), options)
        assert ("--rescale" in word(raised.value.remedy, "flags")) != rescale
        assert "--method nhle" in word(raised.value.remedy, "flags")
