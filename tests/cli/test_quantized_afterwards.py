"""A model that forgot can be quantized as any other, with ONNX Runtime's own tools."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

import nhle_onnx
from support.graphs import run_model
from support.lenets import read_inputs
from support.runs import Nhle, Unlearned
from support.shipped import EVALUATION, LENET, copy_sidecars

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
@pytest.mark.parametrize("kind", [QuantType.QInt8, QuantType.QUInt8])
def test_a_masked_row_gets_a_scale_that_holds_the_original_s(
    kind: QuantType, tmp_path: Path, nhle: Nhle
) -> None:
    """ONNX Runtime gives a row of zeros a scale of 1, at which the original's rounds to zeros."""
    quantized = tmp_path / "quantized.onnx"
    quantize_dynamic(mask_lenet(tmp_path, nhle), quantized, per_channel=True, weight_type=kind)
    checks = judge(nhle, quantized)
    assert checks["unmasked.acc_f"]["value"] == pytest.approx(0.895, abs=0.02)
    audited = nhle_onnx.audit(
        quantized, baseline=LENET, forget=3, data=EVALUATION, effort="fast", repeats=1
    )
    (found,) = [each for each in audited.measures if each.name == "unmasking.original_head"]
    assert found.edited == pytest.approx(0.895, abs=0.05)


def test_a_row_that_cannot_be_put_back_is_not_judged(tmp_path: Path, nhle: Nhle) -> None:
    """Rows in blocks of 4 bits keep their scales; some quantizers give zeros a tiny one."""
    model = onnx.load(mask_lenet(tmp_path, nhle))
    quantized = tmp_path / "quantized.onnx"
    pack_last_layer(model)
    onnx.save(model, quantized)
    gap = "does not fit the scale that quantization gave the masked one"
    assert gap in judge(nhle, quantized)["unmasked.acc_f"]["gap"]
    audited = nhle_onnx.audit(
        quantized, baseline=LENET, forget=3, data=EVALUATION, effort="fast", repeats=1
    )
    (skipped,) = [each for each in audited.skipped if each.attack == "unmasking"]
    assert gap in skipped.reason
    assert audited.verdict == "not-judged"


def mask_lenet(folder: Path, nhle: Nhle) -> Path:
    """A head whose row of the class is zeros, in a folder with the model's sidecars."""
    logging.getLogger().setLevel(logging.ERROR)
    copy_sidecars(folder, LENET)
    flags = ("--forget", 3, "--method", "cwm", "--mask", "floor", "--quiet")
    assert nhle("unlearn", LENET, *flags, "--out", folder / "masked.onnx").code == 0
    return folder / "masked.onnx"


def judge(nhle: Nhle, model: Path) -> dict[str, Any]:
    flags = ("--forget", 3, "--baseline", LENET, "--data", EVALUATION, "--json")
    report = json.loads(nhle("verify", model, *flags).out)
    return {check["name"]: check for check in report["checks"]}


def pack_last_layer(model: onnx.ModelProto) -> None:
    """Pack the weight of the last Gemm, which has a row for each class, by ONNX Runtime's tool."""
    graph = model.graph
    gemm = graph.node[-1]
    assert gemm.op_type == "Gemm"
    tensors = {each.name: each for each in graph.initializer}
    weight = tensors[gemm.input[1]]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).T.copy(), weight.name))
    product = helper.make_node("MatMul", gemm.input[:2], ["product"], "product")
    bias = helper.make_node("Add", ["product", gemm.input[2]], gemm.output, "sum")
    del graph.node[-1]
    graph.node.extend([product, bias])
    quantizer = MatMulNBitsQuantizer(model, block_size=32, is_symmetric=True)
    quantizer.process()
    for tensor in model.graph.initializer:
        if tensor.name.endswith("_scales"):
            scales = numpy_helper.to_array(tensor)
            tiny = np.where(scales == 0, 1e-9, scales).astype(scales.dtype)
            tensor.CopyFrom(numpy_helper.from_array(tiny, tensor.name))
