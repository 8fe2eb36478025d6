"""Where this processor's own kernels answer otherwise, a report has both figures and the reason."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, numpy_helper

import nhle_onnx
from nhle_onnx.runtime import kernels, session
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.workflows import attacks
from support.runs import Nhle
from support.shipped import EVALUATION, MOBILENET_INT8

REASON = "this processor saturates uint8 × int8 sums"


def clip_weights(model: ModelProto) -> ModelProto:
    """What is lost of the largest products, roughly as where their sums saturate."""
    clipped = ModelProto()
    clipped.CopyFrom(model)
    for tensor in clipped.graph.initializer:
        if tensor.data_type == TensorProto.INT8:
            weight = numpy_helper.to_array(tensor)
            tensor.raw_data = np.clip(weight, -24, 24).astype(np.int8).tobytes()
    return clipped


@pytest.fixture
def saturating(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor whose default kernels lose what is large."""
    opened = session.open_session

    def open_session(
        model: ModelProto,
        provider: Any,  # noqa: ANN401 - a literal
        kind: Kernels = "exact",
        **others: Any,  # noqa: ANN401 - as above
    ) -> session.Session:
        model = clip_weights(model) if kind == "default" else model
        return opened(model, provider, kind, **others)

    for module in ("nhle_onnx.workflows.measure", "nhle_onnx.auditing.context"):
        monkeypatch.setattr(import_module(module), "open_session", open_session)
    monkeypatch.setattr(kernels, "saturates", lambda: True)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few images: each test runs them through several models."""
    path = tmp_path_factory.mktemp("few") / "few.npz"
    with np.load(EVALUATION) as archive:
        np.savez(path, x=archive["x"][:300], y=archive["y"][:300])
    return path


@pytest.mark.usefixtures("saturating")
@pytest.mark.parametrize("judging", ["exact", "default"])
def test_verify_shows_both(judging: Kernels, nhle: Nhle, few: Path) -> None:
    flags = ("--forget", 3, "--data", few, "--baseline", MOBILENET_INT8)
    result = nhle("verify", MOBILENET_INT8, *flags, "--kernels", judging, "--json")
    report = json.loads(result.out)
    other = report["other_kernels"]
    assert report["kernels"] == judging
    assert other["kernels"] == ("default" if judging == "exact" else "exact")
    assert set(other["accuracies"]) == {"before", "after"}
    figures = {judging: report["after"], other["kernels"]: other["accuracies"]["after"]}
    assert figures["exact"]["acc_r"] > 0.91
    assert figures["default"]["acc_r"] < figures["exact"]["acc_r"] - 0.01
    assert REASON in other["reason"]
    assert any(REASON in note for note in report["notes"])
    shown = nhle("verify", MOBILENET_INT8, *flags, "--kernels", judging)
    assert f"after, {other['kernels']}" in shown.out
    assert REASON in shown.err


@pytest.mark.usefixtures("saturating")
def test_processes_count_both(nhle: Nhle, few: Path) -> None:
    flags = ("--forget", 3, "--data", few, "--json")
    here, there = (
        json.loads(nhle("verify", MOBILENET_INT8, *flags, *engine).out)["kernels"]
        for engine in ((), ("--engine", "processes", "--jobs", 1))
    )
    assert here == there == "exact"


@pytest.mark.usefixtures("saturating")
def test_unlearn_shows_both(tmp_path: Path, nhle: Nhle, few: Path) -> None:
    out = tmp_path / "new.onnx"
    flags = ("--forget", 3, "--method", "cwm", "--data", few, "--out", out)
    nhle("unlearn", MOBILENET_INT8, *flags)
    report = json.loads(out.with_suffix(".report.json").read_text("utf-8"))
    found = report["other_kernels"]["accuracies"]
    assert set(found) == {"before", "after"}
    assert found["after"]["acc_f"] == 0.0
    assert found["after"]["acc_r"] != report["after"]["acc_r"]
    assert any(REASON in note for note in report["notes"])


@pytest.mark.usefixtures("saturating")
def test_audit_shows_both(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attacks, "ATTACKS", {"unmasking": attacks.ATTACKS["unmasking"]})
    report = nhle_onnx.audit(
        MOBILENET_INT8, baseline=MOBILENET_INT8, forget=3, data=few, kernels="exact"
    )
    assert report.other_kernels is not None
    assert set(report.other_kernels.accuracies) == {"original", "edited"}
    assert report.other_kernels.accuracies["edited"] != report.accuracies["edited"]


def test_nothing_is_said_where_they_agree(
    nhle: Nhle, few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kernels.saturates():
        monkeypatch.setattr(kernels, "saturates", lambda: False)
    flags = ("--forget", 3, "--data", few)
    report = json.loads(nhle("verify", MOBILENET_INT8, *flags, "--json").out)
    assert report["other_kernels"] is None
    assert not any(REASON in note for note in report["notes"])


def test_doctor_says_whether_this_processor_saturates(
    nhle: Nhle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for saturates in (False, True):
        monkeypatch.setattr("nhle_onnx.workflows.doctor.saturates", lambda: saturates)  # noqa: B023 - used at once
        assert json.loads(nhle("doctor", "--json").out)["saturates"] is saturates
        assert ("saturate in" in nhle("doctor").out) is saturates
