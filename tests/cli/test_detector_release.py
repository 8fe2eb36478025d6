"""Detectors leave the house as classifiers do: pushed, in a dossier, and many at once."""

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nhle_onnx.release.report import render_json
from nhle_onnx.values.verdict import Check
from support.detection_reports import (
    DETECTED,
    DETECTION_AUDITED,
    DETECTION_VERIFIED,
    SCENE,
    summarize,
    write_detector,
    write_graph,
)
from support.runs import Nhle

PASSED = Check(name="after.ap_f", value=0.0, limit=0.01, better="lower")
FAILED = replace(PASSED, value=0.5)
CASE = """[request]
id = "DSR-7"
received = 2026-03-02
completed = 2026-03-20
forget = "hat"
[files]
original = "original.onnx"
edited = "edited.onnx"
unlearn = "edited.report.json"
verify = "verify.json"
[[signed_by]]
name = "Ana Ruiz"
role = "DPO"
date = 2026-03-20
"""


def read_card(layout: Path) -> tuple[dict[str, Any], str]:
    (card,) = (
        path.read_text("utf-8")
        for path in (layout / "blobs/sha256").iterdir()
        if path.read_bytes().startswith(b"---\nlibrary_name")
    )
    _, front, text = card.split("---\n", 2)
    return yaml.safe_load(front), text


def test_a_detector_is_pushed_with_a_card_of_its_own(nhle: Nhle, tmp_path: Path) -> None:
    model, report = write_detector(tmp_path)
    found = nhle("push", model, "--to", f"oci:{tmp_path / 'layout'}", "--json")
    assert found.code == 0, found.err
    assert json.loads(found.out)["files"] == ["README.md", model.name, report.name]
    metadata, text = read_card(tmp_path / "layout")
    assert metadata["pipeline_tag"] == "object-detection"
    (result,) = metadata["model-index"][0]["results"]
    assert result["task"] == {"type": "object-detection"}
    assert {each["name"]: each["value"] for each in result["metrics"]} == {
        "ap_f": 0.0, "map_r": 0.4375,
    }  # fmt: skip
    assert "| average precision on the forgotten classes | 0.7500 | 0.0000 |" in text
    assert "accuracy" not in text


def test_a_detector_that_failed_or_another_one_is_not_pushed(nhle: Nhle, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    model, report = write_detector(tmp_path, replace(DETECTED, checks=(FAILED,)))
    found = nhle("push", model, "--to", f"oci:{layout}")
    assert (found.code, "failed its gates" in found.err) == (3, True)
    write_detector(tmp_path)
    shutil.copy(write_graph(tmp_path / "another.onnx"), model)
    found = nhle("push", model, "--report", report, "--to", f"oci:{layout}")
    assert (found.code, "is not the model that" in found.err) == (3, True)
    assert not layout.exists()


@pytest.fixture
def make_case(tmp_path: Path) -> Callable[..., Path]:
    """Write all that a case about a detector names, with changes of both reports."""
    known = summarize(write_graph(tmp_path / "original.onnx"))

    def make(edit: dict[str, Any], verification: dict[str, Any]) -> Path:
        given = replace(DETECTED.model, sha256=known.sha256)
        edited, _ = write_detector(tmp_path, replace(DETECTED, model=given, **edit))
        verified = replace(DETECTION_VERIFIED, model=summarize(edited), baseline=known)
        changes = {"checks": (PASSED,), "scenes": (), **verification}
        text = render_json(replace(verified, **changes))
        (tmp_path / "verify.json").write_text(text, "utf-8")
        (tmp_path / "case.toml").write_text(CASE, "utf-8")
        return tmp_path / "case.toml"

    return make


def read_dossier(path: Path) -> tuple[dict[str, Any], str]:
    with zipfile.ZipFile(path) as archive:
        page = archive.read("dossier.html").decode()
        return json.loads(archive.read("dossier.json")), page


def test_a_dossier_shows_average_precision(
    nhle: Nhle, tmp_path: Path, make_case: Callable[..., Path]
) -> None:
    case = make_case({"checks": (PASSED, *DETECTED.checks)}, {})
    found = nhle("dossier", case, "-o", tmp_path / "d.zip")
    assert found.code == 6, found.err  # nobody attacked it
    dossier, page = read_dossier(tmp_path / "d.zip")
    assert (dossier["kind"], dossier["verdict"]) == ("erasure", "not-judged")
    assert [file["confirmed_by"] for file in dossier["files"]] == [["unlearn", "verify"]] * 2
    assert "Average precision of the forgotten classes" in page
    risks = " ".join(dossier["risks"])
    assert "at most 4.0 % of 1 hat may still be detected (95 % confidence, 1,040 objects)" in risks
    assert "small pictures" not in risks


def test_pictures_in_any_report_are_named(
    nhle: Nhle, tmp_path: Path, make_case: Callable[..., Path]
) -> None:
    """Also in those about derived files."""
    pictured = {"scenes": (replace(SCENE, picture="data:image/png;base64,iVBORw0KGgo="),)}
    case = make_case(pictured, pictured)
    shutil.move(tmp_path / "verify.json", tmp_path / "copy.json")
    make_case(pictured, {})
    with case.open("a") as stream:
        stream.write('[[derived]]\nfile = "edited.onnx"\nkind = "copy"\nreport = "copy.json"\n')
    found = nhle("dossier", case, "-o", tmp_path / "d.zip")
    assert found.code == 6, found.err
    risks = " ".join(read_dossier(tmp_path / "d.zip")[0]["risks"])
    assert "The reports unlearn, verify of edited.onnx hold small pictures" in risks


def test_a_masked_detector_is_named_masked(
    nhle: Nhle, tmp_path: Path, make_case: Callable[..., Path]
) -> None:
    found = nhle("dossier", make_case({"method": {"method": "cwm"}}, {}), "-o", tmp_path / "d.zip")
    assert found.code == 6
    assert "Masked, not erased" in found.out
    assert "<h1>Masking, not erasure: dossier" in read_dossier(tmp_path / "d.zip")[1]


@pytest.mark.parametrize(
    ("edit", "verification", "code", "said"),
    [
        ({}, {"forget": (0,)}, 3, "but verify is about class 0"),
        ({}, {"baseline": DETECTED.edited}, 3, "is not the original that verify is about"),
        ({"checks": (FAILED,)}, {}, 1, "Not erased: unlearn did not hold"),
    ],
)
def test_a_dossier_of_a_detector_says_no_more_than_its_reports(
    edit: dict[str, Any],
    verification: dict[str, Any],
    code: int,
    said: str,
    nhle: Nhle,
    tmp_path: Path,
    make_case: Callable[..., Path],
) -> None:
    found = nhle("dossier", make_case(edit, verification), "-o", tmp_path / "d.zip")
    assert found.code == code, found
    assert said in found.err + found.out


def test_an_audit_of_a_detector_is_evidence(
    nhle: Nhle, tmp_path: Path, make_case: Callable[..., Path]
) -> None:
    case = make_case({"checks": (PASSED, *DETECTED.checks)}, {})
    named = CASE.replace("[[", 'audit = "audit.json"\n[[')
    case.write_text(named, "utf-8")
    audited = replace(
        DETECTION_AUDITED,
        model=summarize(tmp_path / "edited.onnx"),
        baseline=summarize(tmp_path / "original.onnx"),
    )
    (tmp_path / "audit.json").write_text(render_json(audited), "utf-8")
    found = nhle("dossier", case, "-o", tmp_path / "d.zip")
    dossier, _ = read_dossier(tmp_path / "d.zip")
    assert [file["confirmed_by"] for file in dossier["files"]] == [
        ["unlearn", "verify", "audit"]
    ] * 2
    assert found.code == 0, found.err
    risks = " ".join(dossier["risks"])
    assert "AP_F with fitted channels: nearer to the original model" in risks
    assert "The attack probe could not run: no image shows the class" in risks
