"""What a dossier says of a case, and what it does not take."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.release.dossier.binding import Statement, bind_absent, bind_file
from nhle_onnx.release.dossier.page import conclude_dossier
from nhle_onnx.release.dossier.reading import read_kit, read_report
from nhle_onnx.release.dossier.risks import list_gaps, list_risks
from nhle_onnx.values.dossier import BoundFile, Dossier, Finding, Request
from nhle_onnx.values.report import UnlearnReport
from nhle_onnx.values.verdict import Check, Verdict
from support.assertions import assert_told
from support.reports import AUDIT, EDIT

GAP = "100 images are too few"
NOT_JUDGED = Check(name="acc_f", value=0.0, limit=0.01, better="lower", gap=GAP)


def make_finding(verdict: Verdict, *checks: Check) -> Finding:
    return Finding(source=f"verify {verdict}", verdict=verdict, meaning="it was.", checks=checks)


def make_file(name: str, sha256: str = "a" * 64, **sidecars: str) -> Statement:
    return Statement(source=name, sha256=sha256, sidecars=sidecars)


def test_what_was_not_judged_is_a_gap() -> None:
    finding = make_finding("not-judged", NOT_JUDGED, replace(NOT_JUDGED, name="agreement"))
    gaps = list_gaps("erasure", (finding,), ("edited.ort",))
    assert f"verify not-judged, acc_f, agreement: {GAP}." in gaps
    assert any("edited.ort" in gap for gap in gaps)


@pytest.mark.parametrize("has_reference", [True, False])
def test_what_attacks_left_open_is_a_risk(has_reference: bool) -> None:  # noqa: FBT001 - a parameter
    """And what they found nearer to the original than to a model that never saw the class."""
    near = replace(AUDIT.measures[0], position=0.125, title="rows rebuilt")
    reference = AUDIT.reference if has_reference else None
    audit = replace(AUDIT, reference=reference, measures=(near, *AUDIT.measures[1:]))
    original = BoundFile(
        role="original", name="m.onnx", sha256="a" * 64, size_bytes=1, sidecars={}, confirmed_by=()
    )
    risks = list_risks(EDIT, audit, (), (original,), None, ())
    nearer = [risk for risk in risks if "nearer to the original" in risk]
    assert len(nearer) == 1
    assert nearer[0].startswith("rows rebuilt: nearer to the original model")
    assert "position 0.12," in nearer[0]
    assert any(AUDIT.skipped[0].reason in risk for risk in risks)
    assert any("no model that was retrained" in risk for risk in risks) is not has_reference


def test_a_failed_report_decides() -> None:
    dossier = Dossier(
        tool={}, labels=EDIT.labels, forget=EDIT.forget, command="", method={}, files=(),
        request=Request(
            id="1", received="2026-01-01", completed="2026-01-02", due=None, basis=None, forget=()
        ),
        kind="masking", findings=(make_finding("passed"), make_finding("failed")),
        gaps=(), risks=(), signers=(), key_sha256=None,
    )  # fmt: skip
    assert dossier.verdict == "failed"
    assert "verify failed" in conclude_dossier(dossier)


def test_reports_about_different_models_are_refused() -> None:
    """Also where the file itself is not there any more, or only its weights are others."""
    first = make_file("unlearn", w="b" * 64)
    bound = bind_absent("original", "in/m.onnx", (first, make_file("audit", w="b" * 64)))
    assert (bound.name, bound.size_bytes, bound.confirmed_by) == (
        "m.onnx",
        None,
        ("unlearn", "audit"),
    )
    for other in (make_file("audit", "c" * 64, w="b" * 64), make_file("audit", w="c" * 64)):
        with pytest.raises(InputRefusedError) as caught:
            bind_absent("original", "m.onnx", (first, first, other))
        assert_told(caught.value, "unlearn and audit name different original models")


def test_other_weights_beside_the_same_graph_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(b"graph")
    digest = bind_file("edited", path, ()).sha256
    with pytest.raises(InputRefusedError) as caught:
        bind_file("edited", path, (make_file("verify", digest, w="b" * 64),))
    assert_told(caught.value, f"the weights beside {path} are not those that verify is about")


def test_a_field_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text('{"schema": "nhle-onnx/report/v2", "checks": [], "method": 3}')
    with pytest.raises(InputRefusedError, match=r"is not a report of `unlearn`.*: \w+: "):
        read_report(path, UnlearnReport)


def test_a_kit_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nhle_onnx.release.dossier.reading._MAX_TEXT", 99)
    with zipfile.ZipFile(tmp_path / "kit.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kit.json", " " * 100)
    with pytest.raises(InputRefusedError, match=r"kit\.json has more than 99 bytes"):
        read_kit(tmp_path / "kit.zip")
