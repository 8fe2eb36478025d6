"""Quantized models, as ONNX Runtime's own quantizer makes them: forgotten in the same integers."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from studies.formats import FORMATS, Calibration, quantize
from support.graphs import make_model, make_node
from support.readme import keep_names, read_shown_output
from support.runs import Nhle, Unlearned, unlearn
from support.shipped import EVALUATION, LENET, MOBILENET, MOBILENET_INT8, SAMPLES, copy_sidecars

pytestmark = pytest.mark.usefixtures("one_thread")
FLAGS = ("--samples", str(SAMPLES), "--data", str(EVALUATION))
SHORT = (*FLAGS, "--steps", "70")  # less than the stop rule takes
NO_CALIBRATION = Calibration("image", np.zeros((0,), np.float32))
WHOLE = {TensorProto.INT4, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32}


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """LeNet-5 in a format, with its sidecars, each in a folder of its own."""
    with np.load(EVALUATION) as archive:
        images = ((archive["x"][:64, None] / 255 - 0.286) / 0.353).astype(np.float32)

    def make_format(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        copy_sidecars(folder)
        proto = quantize(FORMATS[name], onnx.load(LENET), Calibration("image", images))
        onnx.save(proto, folder / "model.onnx")
        return folder / "model.onnx"

    return make_format


def write_few(path: Path, count: int) -> Path:
    """The first evaluation images."""
    with np.load(EVALUATION) as archive:
        np.savez(path, x=archive["x"][:count], y=archive["y"][:count])
    return path


def read_initializers(path: Path) -> dict[str, TensorProto]:
    return {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}


@pytest.mark.parametrize(
    "name",
    [
        "qdq-per-channel",
        "qdq-int4",
        "qdq-int4-blocks",  # some of whose scales are below 0
        "qoperator-int8",
        "qoperator-uint8",
        "dynamic-int8",
    ],
)
def test_unlearn_in_the_integers_that_ship(name: str, make: Callable[[str], Path]) -> None:
    model = make(name)
    unlearned = unlearn(model, model.with_name("edited.onnx"), "--forget", "3", *SHORT)
    report = unlearned.report
    assert report["passed"], report["checks"]
    assert report["before"]["acc_f"] > 0.8
    assert report["after"]["acc_f"] == 0.0
    assert report["unmasked"]["acc_f"] <= 0.05
    assert report["delta_acc_r"] >= -0.02
    drifts = [step["drift"] for step in report["trajectory"]]
    assert max(drifts) < 0.3  # of int4 all weights leapt at once: 1.2
    assert_only_integers_differ(unlearned)


def test_a_dynamic_model_is_judged_one_image_at_a_time(nhle: Nhle, tmp_path: Path) -> None:
    """Its graph quantizes a whole batch by one scale; a device has one image."""
    given = quantize(FORMATS["dynamic-int8"], onnx.load(MOBILENET), NO_CALIBRATION)
    model = tmp_path / "model.onnx"
    onnx.save(given, model)
    copy_sidecars(tmp_path, MOBILENET)
    flags = ("--forget", 3, "--data", write_few(tmp_path / "few.npz", 200), "--json")
    found = {}
    for size in (1, 256):
        result = nhle("verify", model, *flags, "--batch-size", size)
        found[size] = json.loads(result.out)["after"]["per_class"]
    assert found[1] == found[256]


def assert_only_integers_differ(unlearned: Unlearned) -> None:
    """Other classes keep their scales; of floats only biases and unquantized layers change."""
    before, after = (read_initializers(path) for path in (unlearned.original, unlearned.edited))
    assert list(before) == list(after)
    changed = [
        name
        for name in before
        if before[name].SerializeToString() != after[name].SerializeToString()
    ]
    assert changed == unlearned.report["changed_tensors"]
    for name in changed:
        assert before[name].data_type == after[name].data_type
        if name.endswith(("_scale", "_scales")):  # of the masked class alone
            was, now = (numpy_helper.to_array(each[name]) for each in (before, after))
            assert {*np.nonzero(was != now)[was.shape.index(10)].tolist()} == {3}
        else:
            assert before[name].data_type in WHOLE or name.endswith(("bias", ".weight"))
    growth = unlearned.edited.stat().st_size - unlearned.original.stat().st_size
    assert abs(growth) <= 4096


def test_the_shipped_int8_model_is_trained_in_its_integers(nhle: Nhle, tmp_path: Path) -> None:
    out = tmp_path / "edited.onnx"
    result = nhle("unlearn", MOBILENET_INT8, "--forget", 3, "--out", out, "--steps", 2)
    report = json.loads(out.with_suffix(".report.json").read_text("utf-8"))
    assert report["after"]["acc_f"] == 0.0
    assert len(report["changed_tensors"]) > 20
    assert_only_integers_differ(Unlearned(MOBILENET_INT8, out, report, result.out))


@pytest.mark.slow  # the formats above forget, and the test above trains this model
def test_the_shipped_int8_model_forgets_as_the_readme_shows(nhle: Nhle, tmp_path: Path) -> None:
    out = tmp_path / "edited.onnx"
    result = nhle("unlearn", MOBILENET_INT8, "--forget", 3, "--out", out)
    assert result.code == 0
    assert set(keep_names(read_shown_output(1))) <= set(keep_names(result.out.splitlines()))
    report = json.loads(out.with_suffix(".report.json").read_text("utf-8"))
    assert report["model"]["format"] == "int8"
    assert report["unmasked"]["acc_f"] <= 0.05
    assert report["delta_acc_r"] >= -0.02
    drifts = [step["drift"] for step in report["trajectory"]]
    assert max(drifts) < 0.3  # of int4 all weights leapt at once: 1.2
    assert_only_integers_differ(Unlearned(MOBILENET_INT8, out, report, result.out))


@pytest.mark.parametrize("name", ["qdq-int8", "qdq-uint16-int8", "qdq-int4", "qoperator-int8"])
def test_the_first_class_wins_no_tie(name: str, make: Callable[[str], Path], nhle: Nhle) -> None:
    """Behind rounded scores, in a model that can be inspected, audited and patched as any other."""
    model = make(name)
    out = model.with_name("edited.onnx")
    report = unlearn(model, out, "--forget", "0", "--method", "cwm", *FLAGS).report
    assert report["after"]["acc_f"] == 0.0
    assert report["delta_acc_r"] >= -0.01
    assert report["unmasked"]["acc_f"] == pytest.approx(report["before"]["acc_f"], abs=0.01)
    failed = {check["name"] for check in report["checks"] if check["verdict"] == "failed"}
    assert failed == set()
    assert not {"logits_scale", "logits_zero_point"} & set(report["changed_tensors"])
    patch, again = model.with_name("patch"), model.with_name("again.onnx")
    assert nhle("patch", "create", model, out, "-o", patch).code == 0
    assert nhle("patch", "apply", model, patch, "-o", again).code == 0
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize("name", ["qdq-per-channel", "qoperator-int8", "dynamic-int8"])
def test_the_audit_sees_through_a_mask_of_whole_numbers(
    name: str, make: Callable[[str], Path], nhle: Nhle, tmp_path: Path
) -> None:
    model = make(name)
    out, few = model.with_name("edited.onnx"), write_few(tmp_path / "few.npz", 400)
    unlearn(model, out, "--forget", "3", "--method", "cwm", *FLAGS)
    flags = ("--baseline", model, "--forget", 3, "--data", few)
    result = nhle("audit", out, *flags, "--effort", "fast", "--repeats", 1, "--json")
    assert result.code == 1
    document = json.loads(result.out)
    found = {each["name"]: each for each in document["measures"]}
    assert found["unmasking.original_head"]["edited"] > 0.8
    assert found["divergence.zrf"]["original"] < 0.9
    skipped = {each["attack"]: each["reason"] for each in document["skipped"]}
    assert "already quantized" in skipped["rounding"]
    assert "already quantized" in skipped["static_quantization"]
    verified = json.loads(nhle("verify", out, *flags, "--json").out)
    assert verified["unmasked"]["acc_f"] > 0.8
    inspected = json.loads(nhle("inspect", model, "--json").out)
    assert inspected["format"] == "int8"
    assert inspected["trainable_parameters"] == 61706


def test_an_integer_product_without_its_scales_is_no_head(tmp_path: Path, nhle: Nhle) -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        make_node("MatMulInteger", "q w z"),
    ]
    weight, scores = np.ones((4, 3), np.int8), np.zeros((1, 3), np.int32)
    model = tmp_path / "model.onnx"
    onnx.save(make_model(nodes, {"x": ["n", 4]}, {"y": scores}, {"w": weight}), model)
    result = nhle("unlearn", model, "--forget", 1, *FLAGS)
    assert result.code == 4
    assert "constant scale" in result.err


@pytest.mark.parametrize("packs_head", [False, True])
def test_packed_weights_are_trained_and_masked(
    packs_head: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
    nhle: Nhle,
) -> None:
    """MatMulNBits packs the numbers of its weights into bytes: they are trained as they are."""
    packed = MatMulNBitsQuantizer(
        FORMATS["dynamic-int8"].prepare(onnx.load(LENET)),
        block_size=32,
        is_symmetric=True,
        nodes_to_exclude=[] if packs_head else ["/classifier/Gemm_MatMul"],
    )
    packed.process()
    model = tmp_path / "model.onnx"
    onnx.save(packed.model.model, model)
    copy_sidecars(tmp_path)
    result = nhle("unlearn", model, "--forget", 3, "--steps", 60, "--json", *FLAGS)
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["model"]["format"] == ("uint4" if packs_head else "float32")
    assert report["after"]["acc_f"] == 0.0
    assert report["unmasked"]["acc_f"] < 0.1 < report["before"]["acc_f"]
    assert "are trained" not in result.out  # all weights before the head
    before, after = (read_packed(path) for path in (model, tmp_path / "model.unlearned.onnx"))
    changed = {name for name in before if (before[name] != after[name]).any()}
    assert len(changed) == len(before)


def read_packed(path: Path) -> dict[str, np.ndarray]:
    """The bytes that hold weights."""
    graph = onnx.load(path).graph
    names = {node.input[1] for node in graph.node if node.op_type == "MatMulNBits"}
    return {
        each.name: numpy_helper.to_array(each) for each in graph.initializer if each.name in names
    }
