"""--report writes what its suffix says, on every command that has one, and refuses others."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import nhle_onnx
from support.runs import Nhle
from support.shipped import EVALUATION, LENET, SAMPLES

VERIFY = ("verify", LENET, "--forget", 3, "--data", EVALUATION, "--quiet")
SAID = {
    ".md": "after.acc_f",
    ".xml": "after.acc_f",
    ".html": "Images of the forgotten classes that are still recognised: 89.5 %",
}
FIRST = {".md": "# FAILED: verify, forgetting 3 Dress", ".xml": "<?xml", ".html": "<!DOCTYPE html>"}


@pytest.mark.parametrize("suffix", FIRST)
def test_verify(suffix: str, nhle: Nhle, tmp_path: Path) -> None:
    path = tmp_path / f"report{suffix}"
    assert nhle(*VERIFY, "--report", path).code == 1
    assert path.read_text("utf-8").startswith(FIRST[suffix])
    assert SAID[suffix] in path.read_text("utf-8")
    assert nhle(*VERIFY, "--report", path).code == 3
    assert nhle(*VERIFY, "--report", path, "--force").code == 1


@pytest.mark.parametrize("command", ["unlearn", "verify", "audit", "fleet"])
@pytest.mark.parametrize("name", ["report", "report.pdf", "report.html.txt"])
def test_other_suffixes_are_refused(command: str, name: str, nhle: Nhle, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(f'[[job]]\nmodel = "{LENET}"\nforget = 3\nmethod = "cwm"\n')
    given: dict[str, tuple[object, ...]] = {
        "unlearn": ("unlearn", LENET, "--forget", 3, "--method", "cwm", "-o", tmp_path / "o.onnx"),
        "verify": VERIFY,
        "audit": ("audit", *VERIFY[1:], "--baseline", LENET),
        "fleet": ("fleet", fleet, "--engine", "local"),
    }
    result = nhle(*given[command], "--report", tmp_path / name)
    assert result.code == 2
    assert ".html, .md or .xml" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["fleet.toml"]


def test_unlearn_and_fleet(nhle: Nhle, tmp_path: Path) -> None:
    flags = ("--forget", 3, "--method", "cwm", "--samples", SAMPLES, "-q")
    nhle("unlearn", LENET, *flags, "-o", tmp_path / "o.onnx", "--report", tmp_path / "o.md")
    text = (tmp_path / "o.md").read_text("utf-8")
    assert "masked, not forgotten" in text or "NOT JUDGED" in text
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(
        f'[[job]]\nmodel = "{LENET}"\nforget = 3\nmethod = "cwm"\nsamples = "{SAMPLES}"\n'
        f'[[job]]\nmodel = "none.onnx"\nforget = 3\n'
    )
    result = nhle("fleet", fleet, "--engine", "local", "--report", tmp_path / "fleet.xml", "-q")
    suite = ET.parse(tmp_path / "fleet.xml").getroot()[0]  # noqa: S314 - ours
    assert suite.get("tests") == "2"
    assert "none.onnx does not exist" in (suite.find(".//failure").get("message") or "")
    assert result.code == 3


def test_an_input_is_never_replaced(nhle: Nhle, tmp_path: Path) -> None:
    (tmp_path / "labels.md").write_bytes(LENET.with_name("labels.txt").read_bytes())
    labels = tmp_path / "labels.md"
    before = labels.read_bytes()
    result = nhle(*VERIFY, "--labels", labels, "--report", labels, "--force")
    assert result.code == 3
    assert labels.read_bytes() == before


def test_from_python(tmp_path: Path) -> None:
    path = tmp_path / "r.md"
    nhle_onnx.verify(LENET, forget=3, data=EVALUATION, report=path)
    assert path.read_text("utf-8").startswith(FIRST[".md"])
