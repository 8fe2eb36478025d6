"""Models whose files are the same, and whose weights, in a file beside them, are not."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from nhle_onnx.data.own_report import read_own_report
from nhle_onnx.graph.load import load_model
from support.assertions import assert_refused
from support.runs import Nhle, unlearn
from support.shipped import EVALUATION, SAMPLES, copy_sidecars, put_weights

WEIGHTS = "model.onnx.data"


@dataclass(frozen=True)
class Pair:
    base: Path
    edited: Path
    patch: Path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("beside")
    base, edited = folder / "base" / "model.onnx", folder / "edited" / "model.onnx"
    for path in (base, edited):
        path.parent.mkdir()
    put_weights(base, WEIGHTS)
    copy_sidecars(base.parent)
    unlearn(base, edited, "--forget", "3", "--method", "cwm", "--samples", str(SAMPLES))
    assert edited.read_bytes() == base.read_bytes()
    return Pair(base, edited, folder / "change.nhlepatch")


def test_their_weights_differ(pair: Pair, nhle: Nhle) -> None:
    shown = nhle("diff", pair.base, pair.edited)
    assert "classifier.bias" in shown.out
    assert "the files are the same" not in shown.out


def test_a_report_is_of_the_weights_too(pair: Pair) -> None:
    report = pair.edited.with_suffix(".report.json")
    shutil.copy(report, pair.base.with_suffix(".report.json"))
    assert read_own_report(load_model(pair.base)) is None
    assert read_own_report(load_model(pair.edited)) == (report, json.loads(report.read_bytes()))


def test_a_patch_is_for_the_weights_too(pair: Pair, nhle: Nhle) -> None:
    assert nhle("patch", "create", pair.base, pair.edited, "-o", pair.patch).code == 0
    out = pair.patch.with_name("out.onnx")
    result = nhle("patch", "apply", pair.edited, pair.patch, "-o", out)
    assert_refused(result, 3, f"{WEIGHTS} is already patched", "There is nothing to do")
    swapped = nhle(
        "audit", pair.base, "--baseline", pair.edited, "--forget", "3", "--data", EVALUATION,
        "--patch", pair.patch,
    )  # fmt: skip
    assert_refused(swapped, 3, "is not for", "--patch")
