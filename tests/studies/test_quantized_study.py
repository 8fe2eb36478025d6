"""The study of quantized models: what it makes, measures and says is what it claims."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import ModelProto, TensorProto, helper, numpy_helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.quant_params import express_reals
from nhle_onnx.graph.tensors import list_tensors, read_tensors
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.model import QuantParams
from studies import quantized, quantized_routes, results
from studies.__main__ import main
from studies.dequantize import dequantize, find_integers
from studies.formats import BLOCK, FORMATS, quantize
from studies.quantized import count_kinds, measure_cell
from studies.quantized_page import describe, publish, publish_pictures
from studies.quantized_rows import DEQUANTIZED, FLOAT_FIRST, PARITY, ROUTES, TOOL
from studies.quantized_subjects import Cell, make_given, open_shipped
from studies.tables import Row

pytestmark = pytest.mark.usefixtures("one_thread")

LENET5 = "lenet5"
LAYERS = ("features.0", "features.3", "features.7", "features.9", "classifier")
CONVOLUTIONS = LAYERS[:2]
IN_BLOCKS = "qdq-int4-blocks"
every_format = pytest.mark.parametrize("name", FORMATS)


def read_steps(proto: ModelProto, name: str, grid: QuantParams) -> np.ndarray:
    """How far apart neighbouring numbers of a quantized tensor are."""
    dims = dict(list_tensors(proto))[name].dims
    return express_reals(GraphIndex(proto), np.ones(dims), grid) - express_reals(
        GraphIndex(proto), np.zeros(dims), grid
    )


def list_activation_types(proto: ModelProto) -> set[int]:
    tensors = dict(list_tensors(proto))
    static = {
        tensors[node.input[2]].data_type
        for node in proto.graph.node
        if node.op_type == "QuantizeLinear"
    }
    dynamic = any(node.op_type == "DynamicQuantizeLinear" for node in proto.graph.node)
    return static | ({TensorProto.UINT8} if dynamic else set())


@every_format
def test_a_format_loads_and_has_the_element_types_it_says(name: str) -> None:
    given = make_given(LENET5, name)
    shipped = open_shipped(LENET5)
    session = open_session(given, "cpu")
    images = shipped.evaluation.read(range(200))
    logits = session.run("logits", images, shipped.classifier.image_input, 50)
    assert (logits.argmax(1) == shipped.evaluation.classes[:200]).mean() > 0.85
    tensors = dict(list_tensors(given))
    found = {layer: find_integers(given, f"{layer}.weight") for layer in LAYERS}
    floats = [layer for layer in LAYERS if found[layer] is None]
    assert floats == (list(CONVOLUTIONS) if name == IN_BLOCKS else [])
    assert {tensors[pair[0]].data_type for pair in found.values() if pair} == {
        FORMATS[name].weights
    }
    assert list_activation_types(given) - {TensorProto.FLOAT} == {FORMATS[name].activations} - {
        TensorProto.FLOAT
    }


def test_formats_differ_by_what_their_names_say() -> None:
    for name in FORMATS:
        given = make_given(LENET5, name)
        found = find_integers(given, "classifier.weight")
        assert found is not None
        scales = dict(list_tensors(given))[found[1].scales[0]].dims
        if name == IN_BLOCKS:
            assert found[1].block_size == BLOCK
            assert list(scales) == [-(-84 // BLOCK), 10]
        else:
            assert list(scales) == ([10] if name.endswith(("per-channel", "int4")) else [])
        operators = {node.op_type for node in given.graph.node}
        assert ("QGemm" in operators) == name.startswith("qoperator")
        assert ("MatMulInteger" in operators) == name.startswith("dynamic")
    symmetric = make_given(LENET5, "qdq-symmetric")
    points = [
        numpy_helper.to_array(tensor)
        for tensor in symmetric.graph.initializer
        if tensor.name.endswith("_zero_point")
    ]
    assert not any(point.any() for point in points)


def test_quantizer_is_quiet_and_leaves_the_float_model_alone(
    capfd: pytest.CaptureFixture[str],
) -> None:
    shipped = open_shipped(LENET5)
    proto = shipped.classifier.model.proto
    before = proto.SerializeToString(deterministic=True)
    for name in ("qdq-int8", IN_BLOCKS, "dynamic-int8"):
        quantize(FORMATS[name], proto, shipped.calibration)
    assert proto.SerializeToString(deterministic=True) == before
    assert capfd.readouterr() == ("", "")


def test_what_the_quantizer_cannot_read_is_refused() -> None:
    nothing = helper.make_model(helper.make_graph([], "nothing", [], []))
    with pytest.raises(UnsupportedModelError, match="ONNX Runtime's quantizer fails"):
        quantize(FORMATS["qdq-int8"], nothing, open_shipped(LENET5).calibration)


@every_format
def test_dequantized_graph_is_the_float_graph_with_weights_within_half_a_step(name: str) -> None:
    original = open_shipped(LENET5).classifier.model.proto
    given = make_given(LENET5, name)
    floats, back = FORMATS[name].prepare(original), dequantize(FORMATS[name], original, given)
    assert list(back.graph.node) == list(floats.graph.node)
    tensors = [f"{layer}.{part}" for layer in LAYERS for part in ("weight", "bias")]
    expected, values = (read_tensors(proto, tuple(tensors)) for proto in (floats, back))
    axis = 0 if floats.graph.node[-1].op_type == "Gemm" else 1
    for tensor in tensors:
        is_matrix = tensor.endswith("weight") and not tensor.startswith(CONVOLUTIONS)
        found = find_integers(given, tensor, axis if is_matrix else 0)
        if found is None:
            assert np.array_equal(values[tensor], expected[tensor])
            continue
        # In blocks the end that is farther from 0 is -8, and the other one is cut off at 7.
        most = 1.0 if found[1].block_size else 0.5
        allowed = most * np.abs(read_steps(given, *found)) + np.spacing(np.abs(expected[tensor]))
        assert (np.abs(values[tensor] - expected[tensor]) <= allowed * (1 + 1e-5)).all(), tensor


def test_a_tensor_that_the_quantized_model_lacks_is_named() -> None:
    original = open_shipped(LENET5).classifier.model.proto
    with pytest.raises(ValueError, match=r"stands for features\.0\.weight"):
        dequantize(FORMATS["qdq-int8"], original, ModelProto())


def test_changed_tensors_are_counted_by_kind() -> None:
    given = make_given(LENET5, "qdq-int8")
    names = [tensor.name for tensor in given.graph.initializer]
    assert count_kinds(given, names) == {
        "integer weights": 5,
        "int32 biases": 5,
        "scales": 16,
        "zero points": 16,
    }
    assert count_kinds(make_given(LENET5, "dynamic-int8"), ["classifier.bias"]) == {"floats": 1}


def test_parity_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(results, "UNFINISHED", tmp_path / "unfinished")
    arguments = ["quantized", "--network", LENET5, "--format", "qoperator-int8"]
    arguments += ["--only", "parity"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    (row,) = results.read_rows("quantized")
    assert row["kind"] == PARITY
    assert row["lowered"]["agreement"] > 0.99
    assert row["lowered"]["within"] > 0.99

    def refuse(*_: object) -> None:
        pytest.fail("measured again")

    monkeypatch.setattr(quantized, "measure_cell", refuse)
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0


def test_a_refused_cell_holds_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path, _forget: int, folder: Path) -> None:
        raise UnsupportedModelError(f"{folder / 'model.onnx'} has no room for the mask")

    monkeypatch.setattr(quantized_routes, "unlearn_file", refuse)
    row = measure_cell(Cell(TOOL, LENET5, "qdq-int8", 3))
    assert row["refused"] == "model.onnx has no room for the mask"


def make_row(
    kind: str, chosen: str, forget: int | None = 3, **figures: float | str | bool | dict[str, float]
) -> Row:
    row = {"kind": kind, "network": LENET5, "format": chosen, "forget": forget, "refused": None}
    if kind == PARITY:
        near = {"agreement": 1.0, "within": 1.0, "largest": 0.0}
        compared = dict.fromkeys(("lowered", "unoptimized", "nudged"), near)
        good = {"accuracy": 0.9, "step": 0.1, "largest logit": 10.0, "float output": False}
        return {**row, **good, **compared, **figures}
    good = {"Acc_F before": 0.9, "Acc_F": 0.0, "unmasked": 0.0, "Acc_R before": 0.9}
    good |= {"ΔAcc_R": 0.0, "ΔAcc_R restored": 0.001, "steps": 100, "bytes": 0, "s": 1.0}
    good |= {"ms": 1.0, "latency": 1.01, "given again": 1.06}
    good |= {"added": 0}
    return {**row, **good, "changed": {"integer weights": 5}, "same graph": True, **figures}


def make_rows() -> list[Row]:
    rows = [make_row(PARITY, "qdq-int8", None), make_row(PARITY, "dynamic-int8", None)]
    rows[1]["float output"] = True
    rows += [
        make_row(kind, chosen, forget)
        for kind in ROUTES
        for chosen in ("qdq-int8", "dynamic-int8")
        for forget in range(3)
    ]
    return rows


def test_page_shows_its_pictures_and_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(results, "UNFINISHED", tmp_path / "unfinished")
    rows = make_rows()
    publish(rows)
    publish_pictures(rows)
    page = (tmp_path / "quantized.md").read_text("utf-8")
    assert "](quantized.lenet5.svg)" in page
    assert b"unmasked" in (tmp_path / "quantized.lenet5.svg").read_bytes()
    assert results.read_rows("quantized") == rows
    assert "0.001 of the largest logit for dynamic-int8" in page
    assert "In 2 of 2 models" in page
    assert "6/6 cells keep every limit.\n" in page
    assert "6 of 6 edited models run at 0.95 to 1.05" in page
    assert "0 of 6 models as given do so against themselves" in page
    assert "Of 12 models quantized after they forgot, 0 lose" in page
    for line in ("| qdq-int8 | 3 |", "| dynamic-int8 | 3 |"):
        assert line in page


def test_a_module_farther_off_than_onnx_runtime_itself_is_counted() -> None:
    far = {"agreement": 0.9, "within": 0.5, "largest": 9.0}
    text = describe([make_row(PARITY, "qdq-int8", None, lowered=far)])
    assert "In 0 of 1 models" in text
    assert "0.9000 · 0.5000 · 9.00" in text


@pytest.mark.parametrize(
    "figures",
    [
        {"Acc_F": 0.02},
        {"unmasked": 0.06},
        {"ΔAcc_R": -0.021},
        {"bytes": 4097},
        {"bytes": -4097},
        {"refused": "no room for the floor"},
    ],
    ids=str,
)
def test_one_bad_cell_is_named(figures: dict[str, float | str]) -> None:
    text = describe([*make_rows(), make_row(TOOL, "qdq-int8", 7, **figures)])
    assert "6/7 cells keep every limit. The others:" in text
    assert "| lenet5 | qdq-int8 | 7 |" in text
    assert ("| NO |" in text) == ("refused" not in figures)


def test_what_quantizing_anew_loses_is_shown() -> None:
    wrecked = [
        make_row(FLOAT_FIRST, "qdq-uint8", ΔAcc_R=-0.8),
        make_row(DEQUANTIZED, "qdq-uint8", ΔAcc_R=-0.8, unmasked=0.7),
    ]
    text = describe([*make_rows(), make_row(TOOL, "qdq-uint8"), *wrecked])
    assert "14 models quantized after they forgot, 2 lose more than 0.02 of Acc_R (qdq-u" in text
    assert "1 recognise more than 0.05 of the class with the original head (qdq-uint8)." in text
    assert "mean ΔAcc_R of +0.0010" in text
    assert "-0.8000 · 0/1" in text


def test_page_of_refusals_alone_renders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(results, "UNFINISHED", tmp_path / "unfinished")
    rows: list[Row] = [
        {"kind": kind, "network": LENET5, "format": "qdq-int8", "forget": None, "refused": "why"}
        for kind in (PARITY, *ROUTES)
    ]
    publish(rows)
    publish_pictures(rows)
    assert "| why |" in (tmp_path / "quantized.md").read_text("utf-8")
