"""`--mask drop`: a model with an output less, which later commands understand by its report."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from support.graphs import run_model
from support.runs import Nhle, Unlearned, unlearn
from support.shipped import EVALUATION, LENET, SAMPLES, copy_sidecars

LABELS = (LENET.parent / "labels.txt").read_text("utf-8").split("\n")[:10]
GIVEN = ("--forget", "3", "--samples", str(SAMPLES), "--data", str(EVALUATION))


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Unlearned:
    folder = tmp_path_factory.mktemp("dropped")
    copy_sidecars(folder)
    (folder / "model.onnx").write_bytes(LENET.read_bytes())
    flags = (*GIVEN, "--method", "cwm", "--mask", "drop")
    return unlearn(folder / "model.onnx", folder / "edited.onnx", *flags)


def test_the_row_is_gone(dropped: Unlearned) -> None:
    report = dropped.report
    failed = [check["name"] for check in report["checks"] if check["verdict"] == "failed"]
    assert set(failed) <= {"unmasked.acc_f"}
    assert report["method"]["mask"] == "drop"
    assert report["after"]["acc_f"] == 0.0
    assert report["unmasked"]["acc_f"] == report["before"]["acc_f"] > 0.8
    assert "has 9 outputs" in " ".join(report["notes"])
    model, original = onnx.load(dropped.edited), onnx.load(LENET)
    onnx.checker.check_model(model, full_check=True)
    olds, news = (
        {tensor.name: numpy_helper.to_array(tensor) for tensor in each.graph.initializer}
        for each in (original, model)
    )
    changed = [name for name in olds if olds[name].shape != news[name].shape]
    assert len(changed) == 2
    for name in changed:
        np.testing.assert_array_equal(news[name], np.delete(olds[name], 3, 0))
    row = olds[next(name for name in changed if olds[name].ndim > 1)][3].tobytes()
    assert row not in dropped.edited.read_bytes()


def test_the_labels_are_written_anew(dropped: Unlearned) -> None:
    written = dropped.edited.with_suffix(".labels.txt").read_text("utf-8").split("\n")
    assert written[:-1] == [label for index, label in enumerate(LABELS) if index != 3]
    assert dropped.report["labels"] == LABELS
    with np.load(EVALUATION) as archive:
        images, classes = archive["x"][:200, None] / np.float32(255), archive["y"][:200]
    before, after = (run_model(path, images)[0] for path in (LENET, dropped.edited))
    names = np.array(written[:-1])[after.argmax(1)]
    is_kept = before.argmax(1) != 3
    assert (names[is_kept] == np.array(LABELS)[before.argmax(1)[is_kept]]).all()
    assert len(set(classes[is_kept])) == 10


def test_later_commands_know_what_is_gone(dropped: Unlearned, tmp_path: Path, nhle: Nhle) -> None:
    model, data = dropped.edited, ("--data", EVALUATION)
    found = json.loads(nhle("inspect", model, "--json").out)
    assert found["labels"] == [label for label in LABELS if label != LABELS[3]]
    verified = nhle("verify", model, "--forget", LABELS[3], *data, "--json")
    report = json.loads(verified.out)
    assert (report["after"]["acc_f"], report["forget"]) == (0.0, [3])
    assert report["after"]["acc_r"] == dropped.report["after"]["acc_r"]
    compared = nhle("verify", model, "--forget", 3, *data, "--baseline", dropped.original, "--json")
    assert compared.code == 6
    assert "cannot be put back" in compared.out
    for command in (
        ("audit", model, "--forget", 3, *data, "--baseline", dropped.original),
        ("kit", model, "--forget", 3, *data, "--out", tmp_path / "kit.zip"),
        ("unlearn", model, "--forget", 4, "--out", tmp_path / "again.onnx", "--samples", SAMPLES),
    ):
        refused = nhle(*command)
        assert refused.code == 4, refused.err
        assert "has no outputs for the classes that were dropped from it" in refused.err


def test_a_row_in_a_file_beside_the_model_is_gone_too(tmp_path: Path) -> None:
    model = onnx.load(LENET)
    copy_sidecars(tmp_path)
    onnx.save_model(
        model, tmp_path / "model.onnx", save_as_external_data=True, location="w.bin",
        size_threshold=64,
    )  # fmt: skip
    tensors = [numpy_helper.to_array(tensor) for tensor in onnx.load(LENET).graph.initializer]
    row = next(each for each in tensors if each.ndim == 2 and len(each) == 10)[3].tobytes()
    assert row in (tmp_path / "w.bin").read_bytes()
    flags = (*GIVEN, "--method", "cwm", "--mask", "drop")
    done = unlearn(tmp_path / "model.onnx", tmp_path / "edited.onnx", *flags)
    assert done.report["after"]["acc_f"] == 0.0
    assert row not in (tmp_path / "edited.onnx.data").read_bytes()
    image = np.zeros((1, 1, 28, 28), np.float32)
    assert run_model(tmp_path / "edited.onnx", image)[0].shape == (1, 9)


def test_a_model_that_is_trained_is_cut_as_well(tmp_path: Path) -> None:
    copy_sidecars(tmp_path)
    flags = (*GIVEN, "--steps", "2", "--mask", "drop")
    report = unlearn(LENET, tmp_path / "edited.onnx", *flags).report
    assert report["after"]["acc_f"] == 0.0
    assert 0.0 < report["unmasked"]["acc_f"] <= report["before"]["acc_f"]
    outcome = {check["name"]: check["verdict"] for check in report["checks"]}
    assert outcome["graph_changes"] == outcome["tensors_changed_outside_scope"] == "passed"
