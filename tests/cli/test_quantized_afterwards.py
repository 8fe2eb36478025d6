"""A model that forgot can be quantized as any other, with ONNX Runtime's own tools."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

from support.graphs import run_model
from support.lenets import read_inputs
from support.runs import Nhle, Unlearned
from support.shipped import EVALUATION, LENET

Quantize = Callable[[Path, Path], None]


class Calibration:
    """The first images of each class, as the quantizer asks for them."""

    def __init__(self) -> None:
        images, classes = read_inputs()
        chosen = np.concatenate([np.flatnonzero(classes == index)[:12] for index in range(10)])
        self._batches = iter(np.array_split(images[chosen], 4))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}


def make_static(**options: object) -> Quantize:
    return lambda source, result: quantize_static(source, result, Calibration(), **options)


FORMS: dict[str, Quantize] = {
    "qdq": make_static(quant_format=QuantFormat.QDQ),
    "qdq per channel": make_static(quant_format=QuantFormat.QDQ, per_channel=True),
    "qoperator": make_static(quant_format=QuantFormat.QOperator),
    "16 bits": make_static(
        quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt16,
        weight_type=QuantType.QInt8,
    ),
    "dynamic": quantize_dynamic,
}  # fmt: skip


def measure(path: Path) -> tuple[float, float]:
    """Acc_F and Acc_R."""
    images, classes = read_inputs()
    answers = np.array([run_batch(path, images[i : i + 100]) for i in range(0, 2000, 100)]).ravel()
    is_right = answers == classes
    return float(is_right[classes == 3].mean()), float(is_right[classes != 3].mean())


def run_batch(path: Path, images: np.ndarray) -> np.ndarray:
    answers: np.ndarray = run_model(path, images)[0].argmax(1)
    return answers


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore")
def test_what_was_forgotten_stays_so_and_the_rest_is_kept(
    form: str, unlearned_lenet: Unlearned, tmp_path: Path
) -> None:
    """The first edition's mask left a model of static INT8 that recognised one class in nine."""
    logging.getLogger().setLevel(logging.ERROR)
    found = {}
    for name, path in (("original", LENET), ("edited", unlearned_lenet.edited)):
        FORMS[form](path, tmp_path / f"{name}.onnx")
        found[name] = measure(tmp_path / f"{name}.onnx")
    assert found["edited"][0] <= 0.01
    assert found["edited"][1] >= found["original"][1] - 0.01


@pytest.mark.filterwarnings("ignore")
def test_a_row_that_does_not_fit_the_masked_one_s_scale_is_not_judged(
    tmp_path: Path, nhle: Nhle
) -> None:
    """ONNX Runtime gives a row of zeros a scale of 1, at which the original's rounds to zeros."""
    logging.getLogger().setLevel(logging.ERROR)
    masked, quantized = tmp_path / "masked.onnx", tmp_path / "quantized.onnx"
    flags = ("--forget", 3, "--method", "cwm", "--mask", "floor", "--out", masked, "--quiet")
    assert nhle("unlearn", LENET, *flags).code == 0
    quantize_dynamic(masked, quantized, per_channel=True)
    judged = ("--forget", 3, "--baseline", LENET, "--data", EVALUATION, "--json")
    checks = {
        check["name"]: check
        for check in json.loads(nhle("verify", quantized, *judged).out)["checks"]
    }
    assert checks["unmasked.acc_f"]["value"] is None
    assert "judge the file before quantization" in checks["unmasked.acc_f"]["gap"]
