"""Formats in which classifiers are deployed, each from the exporter or converter that makes it."""

import json
import os
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import ModelProto, TensorProto, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16
from test_heads import FLAGS, Headed
from torch import Tensor, nn

from nhle_onnx.graph.tensors import replace_tensors
from support import TESTS
from support.graphs import make_model, make_node, place_outside, run_model
from support.runs import Nhle, Unlearned, unlearn
from support.shipped import EVALUATION, LENET, SAMPLES, copy_sidecars

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sidecars of the shipped model."""
    copy_sidecars(tmp_path)
    return tmp_path


def make_lenet() -> nn.Module:
    return Headed(lambda net, h: net.classifier(h))


def export_legacy(path: Path, opset: int, **flags: object) -> None:
    torch.onnx.export(
        make_lenet(), (torch.zeros(2, 1, 28, 28),), path, dynamo=False, opset_version=opset,
        input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}}, **flags,
    )  # fmt: skip


def export_dynamo(path: Path, **flags: object) -> None:
    torch.onnx.export(
        make_lenet(), (torch.zeros(2, 1, 28, 28),), path, dynamo=True,
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}}, **flags,
    )  # fmt: skip


def assert_forgotten(unlearned: Unlearned) -> None:
    report = unlearned.report
    assert report["passed"], report["checks"]
    assert report["before"]["acc_f"] > 0.8
    assert report["after"]["acc_f"] == 0.0
    assert report["delta_acc_r"] >= -0.02


@pytest.mark.parametrize("opset", [7, 9, 11, 15, 20])
def test_opsets_of_the_older_exporter(opset: int, folder: Path) -> None:
    export_legacy(folder / "model.onnx", opset)
    unlearned = unlearn(folder / "model.onnx", folder / "edited.onnx", *FLAGS)
    assert_forgotten(unlearned)
    assert unlearned.report["model"]["opset"] == opset


@pytest.mark.parametrize("opset", [18, 21, 24])
def test_opsets_of_the_newer_exporter(opset: int, folder: Path) -> None:
    export_dynamo(folder / "model.onnx", opset_version=opset, external_data=False)
    unlearned = unlearn(folder / "model.onnx", folder / "edited.onnx", *FLAGS)
    assert_forgotten(unlearned)
    assert unlearned.report["model"]["opset"] == opset


def test_weights_that_are_inputs_too_forget(folder: Path) -> None:
    """As graphs of IR 3 have it: every weight is an input, too."""
    path = folder / "model.onnx"
    export_legacy(path, 8, keep_initializers_as_inputs=True)
    model = onnx.load(path)
    model.ir_version = 3
    assert len(model.graph.input) > 1
    onnx.save(model, path)
    assert_forgotten(unlearn(path, folder / "edited.onnx", *FLAGS))


def test_weights_in_constant_nodes_forget(folder: Path) -> None:
    """As an older PaddlePaddle exporter writes them: no initializer at all."""
    model = onnx.load(LENET)
    nodes = [
        onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
        for tensor in model.graph.initializer
    ]
    rest = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    path = folder / "model.onnx"
    onnx.save(model, path)
    unlearned = unlearn(path, folder / "edited.onnx", *FLAGS)
    assert_forgotten(unlearned)
    assert not onnx.load(unlearned.edited).graph.initializer
    assert len(unlearned.report["changed_tensors"]) == 8


def test_images_with_channels_last_forget(folder: Path) -> None:
    class ChannelsLast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = make_lenet()

        def forward(self, images: Tensor) -> Tensor:
            return self.network(images.permute(0, 3, 1, 2))

    path = folder / "model.onnx"
    torch.onnx.export(
        ChannelsLast(), (torch.zeros(2, 28, 28, 1),), path, dynamo=False, opset_version=17,
        input_names=["image"], dynamic_axes={"image": {0: "batch"}},
    )  # fmt: skip
    unlearned = unlearn(path, folder / "edited.onnx", *FLAGS)
    assert_forgotten(unlearned)


def test_a_keras_network_through_tf2onnx_forgets(folder: Path) -> None:
    """NHWC input, MatMul + Add + Softmax head; see tests/files/make_keras_cnn.py."""
    path = folder / "model.onnx"
    shutil.copy(TESTS / "files" / "keras_cnn.onnx", path)
    preprocess = ("--mean", "0", "--std", "1")
    unlearned = unlearn(path, folder / "edited.onnx", *FLAGS, *preprocess)
    assert_forgotten(unlearned)
    head = unlearned.report["model"]["head"]
    assert (head["op"], head["num_classes"], head["feature_dim"]) == ("MatMul", 10, 48)


@pytest.mark.parametrize("size", [1, 4])
def test_a_batch_size_that_the_graph_fixes(size: int, folder: Path) -> None:
    """Exported without free axes, `view` is a Reshape to a constant batch size."""

    class Viewed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = make_lenet()

        def forward(self, images: Tensor) -> Tensor:
            features = self.network.features(images)
            return self.network.classifier(features.view(size, 42, 2).view(size, 84))

    path = folder / "model.onnx"
    torch.onnx.export(
        Viewed(), (torch.zeros(size, 1, 28, 28),), path, dynamo=False, opset_version=17,
        input_names=["image"],
    )  # fmt: skip
    shapes = [
        numpy_helper.to_array(node.attribute[0].t)[0]
        for node in onnx.load(path).graph.node
        if node.op_type == "Constant"
    ]
    assert size in shapes
    unlearned = unlearn(path, folder / "edited.onnx", *FLAGS)
    assert_forgotten(unlearned)
    assert len(unlearned.report["changed_tensors"]) == 8


def test_a_batch_size_that_cannot_be_freed(folder: Path) -> None:
    """The graph is then run batch by batch: here it adds up over the batch of 1."""

    class Summed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = make_lenet()

        def forward(self, images: Tensor) -> Tensor:
            return self.network.classifier(self.network.features(images).sum(0, keepdim=True))

    path = folder / "model.onnx"
    torch.onnx.export(
        Summed(), (torch.zeros(1, 1, 28, 28),), path, dynamo=False, opset_version=17,
        input_names=["image"],
    )  # fmt: skip
    few = ("--samples-per-class", "2", "--steps", "8")
    report = unlearn(path, folder / "edited.onnx", *FLAGS, *few).report
    assert report["before"]["acc_r"] > 0.9
    assert report["after"]["acc_f"] == 0.0
    assert len(report["changed_tensors"]) == 8


@pytest.mark.parametrize("keep_io_types", [True, False])
def test_float16_forgets_and_stays_float16(keep_io_types: bool, folder: Path) -> None:  # noqa: FBT001 - a parameter
    path = folder / "model.onnx"
    half = convert_float_to_float16(onnx.load(LENET), keep_io_types=keep_io_types)
    onnx.save(half, path)
    unlearned = unlearn(path, folder / "edited.onnx", *FLAGS)
    assert_forgotten(unlearned)
    assert unlearned.report["model"]["format"] == "float16"
    edited = onnx.load(unlearned.edited)
    for tensor in edited.graph.initializer:
        assert np.isfinite(numpy_helper.to_array(tensor)).all()
        if tensor.name in unlearned.report["changed_tensors"]:
            assert tensor.data_type == TensorProto.FLOAT16
    assert unlearned.report["edited"]["size_bytes"] == path.stat().st_size


@pytest.mark.parametrize("kept", ["Gemm", "Conv"])
def test_mixed_precision_forgets_and_stays_mixed(kept: str, folder: Path) -> None:
    """Layers of one kind in float32 among those in float16, with Casts between them."""
    path = folder / "model.onnx"
    onnx.save(convert_float_to_float16(onnx.load(LENET), op_block_list=[kept]), path)
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load(path).graph.initializer}
    assert len(set(kinds.values())) == 2
    unlearned = unlearn(path, folder / "edited.onnx", *FLAGS)
    assert_forgotten(unlearned)
    for tensor in onnx.load(unlearned.edited).graph.initializer:
        assert tensor.data_type == kinds[tensor.name]
        assert np.isfinite(numpy_helper.to_array(tensor)).all()


@pytest.mark.parametrize("mask", ["convex", "floor"])
@pytest.mark.parametrize("method", ["cwm", "nhle-cwm"])
def test_float16_logits_at_the_edge_of_the_range(method: str, mask: str, folder: Path) -> None:
    """Scores that nearly fill float16's range: the floor is finite and the lowest, and a shadow
    below another class, never beside it.
    """
    model = onnx.load(LENET)
    for tensor in model.graph.initializer:
        if tensor.name.startswith("classifier"):
            values = numpy_helper.to_array(tensor) * np.float32(12_000)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    model.graph.node.append(onnx.helper.make_node("Softmax", ["logits"], ["shares"]))
    model.graph.output[0].name = "shares"
    path = folder / "model.onnx"
    onnx.save(convert_float_to_float16(model, keep_io_types=True), path)
    unlearned = unlearn(path, folder / "edited.onnx", *FLAGS, "--method", method, "--mask", mask)
    assert unlearned.report["after"]["acc_f"] == 0.0
    assert unlearned.report["delta_acc_r"] >= -0.02
    edited = onnx.load(unlearned.edited)
    for tensor in edited.graph.initializer:
        assert np.isfinite(numpy_helper.to_array(tensor)).all()
    edited.graph.output.add().name = "logits"
    session = ort.InferenceSession(edited.SerializeToString(), providers=["CPUExecutionProvider"])
    with np.load(EVALUATION) as archive:
        images = ((archive["x"][:500, None] / 255 - 0.286) / 0.353).astype(np.float32)
    shares, logits = session.run(["shares", "logits"], {"image": images})
    assert np.isfinite(shares).all()
    assert np.isfinite(logits).all()
    assert logits.max() > 50_000
    if mask == "floor":
        assert (logits[:, 3] < -65_000).all()
    else:
        assert (logits[:, 3] < np.delete(logits, 3, 1).max(1)).all()


def test_updates_beyond_a_format_become_its_end() -> None:
    for kind in (np.float16, ml_dtypes.bfloat16, np.float32):
        tensor = numpy_helper.from_array(np.ones(3, kind), "weight")
        model = ModelProto()
        model.graph.initializer.append(tensor)
        replace_tensors(model, {"weight": np.array([1e300, -1e300, 0.5])})
        written = numpy_helper.to_array(model.graph.initializer[0]).astype(np.float64)
        limits = ml_dtypes.finfo(kind)
        assert written.tolist() == [float(limits.max), float(limits.min), 0.5]


def test_weights_stored_as_bfloat16_forget(folder: Path) -> None:
    """ONNX Runtime computes nothing in bfloat16 on a CPU, but casts weights that are stored so."""
    model = onnx.load(LENET)
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).astype(ml_dtypes.bfloat16)
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values, f"{name}.stored"))
        casts.append(
            onnx.helper.make_node("Cast", [f"{name}.stored"], [name], to=TensorProto.FLOAT)
        )
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    onnx.save(model, folder / "model.onnx")
    unlearned = unlearn(folder / "model.onnx", folder / "edited.onnx", *FLAGS)
    assert_forgotten(unlearned)
    assert unlearned.report["model"]["format"] == "bfloat16"
    for tensor in onnx.load(unlearned.edited).graph.initializer:
        assert tensor.data_type == TensorProto.BFLOAT16
        assert np.isfinite(numpy_helper.to_array(tensor).astype(np.float32)).all()


@pytest.mark.slow
def test_a_model_beyond_two_gigabytes_forgets(folder: Path) -> None:
    """A network with a hidden layer of 2.3 GB: masked, verified, and written in the same layout."""
    if os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") < 18 * 2**30:
        pytest.skip("needs 18 GiB of free memory")
    width, rng = 720_000, np.random.default_rng(0)
    tensors = {
        "hidden.weight": np.broadcast_to(
            rng.normal(size=(1, 784)).astype(np.float32), (width, 784)
        ),
        "head.weight": rng.normal(size=(10, width)).astype(np.float32),
        "head.bias": rng.normal(size=10).astype(np.float32),
    }
    (folder / "weights.bin").write_bytes(b"".join(value.tobytes() for value in tensors.values()))
    initializers, offset = [], 0
    for name, value in tensors.items():
        tensor = TensorProto(name=name, dims=value.shape, data_type=TensorProto.FLOAT)
        place_outside(tensor, location="weights.bin", offset=offset, length=value.nbytes)
        offset += value.nbytes
        initializers.append(tensor)
    nodes = [
        make_node("Flatten", "image", "flat"),
        make_node("Gemm", "flat hidden.weight", "h", transB=1),
        make_node("Gemm", "h head.weight head.bias", "z", transB=1, name="head"),
    ]
    model = make_model(nodes, {"image": ["batch", 1, 28, 28]}, {"z": ["batch", 10]}, initializers)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    del tensors
    flags = ("--forget", "3", "--method", "cwm", "--samples", str(SAMPLES), "--batch-size", "16")
    few = folder / "few.npz"
    with np.load(EVALUATION) as archive:
        np.savez(few, x=archive["x"][:16], y=archive["y"][:16])
    unlearned = unlearn(folder / "model.onnx", folder / "edited.onnx", *flags, "--data", str(few))
    report = unlearned.report
    assert report["after"]["acc_f"] == 0.0
    assert report["changed_tensors"] == ["head.weight", "head.bias"]
    assert report["edited"]["size_bytes"] > 2**31
    assert (folder / "edited.onnx.data").stat().st_size == (folder / "weights.bin").stat().st_size


def test_external_data_stays_external(folder: Path) -> None:
    path = folder / "model.onnx"
    export_dynamo(path, external_data=True)
    sidecar = folder / "model.onnx.data"
    before = {file: file.read_bytes() for file in (path, sidecar)}
    unlearned = unlearn(path, folder / "edited.onnx", *FLAGS)
    assert_forgotten(unlearned)
    assert {file: file.read_bytes() for file in (path, sidecar)} == before
    new = folder / "edited.onnx.data"
    assert new.stat().st_size == sidecar.stat().st_size
    assert unlearned.report["edited"]["sidecars"].keys() == {new.name}

    def list_layout(file: Path) -> dict[str, list[tuple[str, str]]]:
        model = onnx.load(file, load_external_data=False)
        return {
            tensor.name: [(e.key, e.value) for e in tensor.external_data if e.key != "location"]
            for tensor in model.graph.initializer
        }

    assert list_layout(unlearned.edited) == list_layout(path)
    logits = run_model(unlearned.edited, np.zeros((1, 1, 28, 28), np.float32))[0]
    assert logits[0, 3] < logits[0].max() - 9.9


@pytest.mark.parametrize("damage", ["missing", "short", "elsewhere", "link"])
def test_external_data_that_is_not_as_it_should_be(damage: str, folder: Path, nhle: Nhle) -> None:
    path, sidecar = folder / "model.onnx", folder / "model.onnx.data"
    model = onnx.load(LENET)
    onnx.save(model, path, save_as_external_data=True, location=sidecar.name, size_threshold=0)
    if damage == "missing":
        sidecar.unlink()
    elif damage == "short":
        sidecar.write_bytes(sidecar.read_bytes()[:1000])
    elif damage == "link":
        sidecar.rename(folder.parent / "elsewhere.data")
        sidecar.symlink_to(folder.parent / "elsewhere.data")
    else:
        model = onnx.load(path, load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = "../" + entry.value
        path.write_bytes(model.SerializeToString())
        sidecar.rename(folder.parent / sidecar.name)
    result = nhle("unlearn", path, *FLAGS, "--out", folder / "edited.onnx")
    assert result.code == 3
    assert "separate file" in result.err
    assert "Traceback" not in result.err
    assert not (folder / "edited.onnx").exists()


def refuse(nhle: Nhle, path: Path) -> str:
    result = nhle("unlearn", path, *FLAGS)
    assert result.code == 4, result.err
    assert "Traceback" not in result.err
    return result.err


def test_the_ort_format_is_refused(folder: Path, nhle: Nhle) -> None:
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(folder / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(LENET, options, providers=["CPUExecutionProvider"])
    assert "Give the .onnx file" in refuse(nhle, folder / "model.ort")


def optimize(path: Path, level: ort.GraphOptimizationLevel) -> Path:
    """The shipped LeNet-5 as ONNX Runtime saves what it runs."""
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    ort.InferenceSession(LENET, options, providers=["CPUExecutionProvider"])
    return path


def test_a_graph_laid_out_for_one_processor_is_refused_with_what_works(
    folder: Path, nhle: Nhle
) -> None:
    path = optimize(folder / "model.onnx", ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    blocked = [node for node in onnx.load(path).graph.node if node.domain == "com.microsoft.nchwc"]
    if not blocked:
        pytest.skip("ONNX Runtime has no layout of its own for this processor")
    for told in (refuse(nhle, path), nhle("inspect", path).out):
        words = " ".join(told.split())
        assert f"first at {blocked[0].op_type} {blocked[0].name}" in words
        assert "up to the level 'extended'" in words
    path = optimize(folder / "model.onnx", ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED)
    assert "can use nhle-cwm, nhle, cwm" in nhle("inspect", path).out


def test_a_scikit_learn_pipeline_is_refused(folder: Path, nhle: Nhle) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    skl2onnx = pytest.importorskip("skl2onnx")
    rng = np.random.default_rng(0)
    fitted = linear_model.LogisticRegression().fit(rng.normal(size=(60, 4)), rng.integers(0, 3, 60))
    model = skl2onnx.to_onnx(fitted, np.zeros((1, 4), np.float32))
    onnx.save(model, folder / "model.onnx")
    assert "scikit-learn" in refuse(nhle, folder / "model.onnx")


def test_inspect_of_each_says_what_it_is(folder: Path, nhle: Nhle) -> None:
    onnx.save(convert_float_to_float16(onnx.load(LENET)), folder / "model.onnx")
    report = json.loads(nhle("inspect", folder / "model.onnx", "--json").out)
    assert report["format"] == "float16"
    assert report["inputs"] == {"image": "float16 [batch, 1, 28, 28]"}
    assert report["unlearn"]["nhle-cwm"]
