"""verify judges any model, edited by us or not."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.runs import Nhle, Unlearned
from support.shipped import EVALUATION, LENET, SAMPLES, copy_sidecars


def test_edited_model_passes(unlearned_lenet: Unlearned, nhle: Nhle) -> None:
    sidecars = ("--preprocess", LENET.with_name("preprocessor_config.json"))
    result = nhle(
        "verify", unlearned_lenet.edited, "--baseline", LENET, "--forget", 3, "--data", EVALUATION,
        *sidecars, "--json",
    )  # fmt: skip
    report = json.loads(result.out)
    assert result.code == 0
    assert report["passed"]
    for key in ("before", "after", "unmasked", "delta_acc_r", "changed_tensors"):
        assert report[key] == unlearned_lenet.report[key]


def test_untouched_model_fails(nhle: Nhle) -> None:
    result = nhle("verify", LENET, "--forget", "Dress", "--data", EVALUATION)
    assert result.code == 1
    assert result.out.splitlines()[-1] == "FAILED: after.acc_f missed its limit"


def test_counts_by_class_in_a_folder(nhle: Nhle) -> None:
    result = nhle("verify", LENET, "--forget", 3, "--data", SAMPLES, "--json")
    report = json.loads(result.out)
    assert report["samples"] == 160
    assert report["after"]["acc_r"] == pytest.approx(
        np.mean([value for i, value in enumerate(report["after"]["per_class"]) if i != 3])
    )


def test_data_without_the_class_prove_nothing(nhle: Nhle, tmp_path: Path) -> None:
    (tmp_path / "Bag").symlink_to(SAMPLES / "Bag", target_is_directory=True)
    result = nhle("verify", LENET, "--forget", 3, "--data", tmp_path)
    assert result.code == 6
    assert "there is no image of 3 Dress to judge by" in result.out


def test_other_outputs_that_tell_the_class_are_judged(nhle: Nhle, tmp_path: Path) -> None:
    """The head that is named no longer tells it; a second output still does."""
    proto = onnx.load(LENET)
    (name,) = (value.name for value in proto.graph.output)
    mask = numpy_helper.from_array(np.float32([0, 0, 0, -1e4, *[0] * 6]), "mask")
    proto.graph.initializer.append(mask)
    proto.graph.node.append(helper.make_node("Add", [name, "mask"], ["masked"]))
    proto.graph.output.insert(
        0, helper.make_tensor_value_info("masked", TensorProto.FLOAT, ["n", 10])
    )
    onnx.save(proto, tmp_path / "model.onnx")
    copy_sidecars(tmp_path)
    flags = ("--graph-output", "masked", "--forget", 3, "--data", EVALUATION, "--json")
    result = nhle("verify", tmp_path / "model.onnx", *flags)
    checks = {each["name"]: each for each in json.loads(result.out)["checks"]}
    assert checks["after.acc_f"]["value"] == 0
    other = checks[f"output {name}.acc_f"]
    assert other["value"] > 0.85
    assert other["verdict"] == "failed"


def test_each_provider_is_reported(nhle: Nhle) -> None:
    flags = ("--provider", "cpu", "--provider", "auto", "--json")
    result = nhle("verify", LENET, "--forget", 3, "--data", EVALUATION, *flags)
    providers = json.loads(result.out)["providers"]
    assert providers[0]["provider"] == "CPUExecutionProvider"
    assert len(providers) == 2
