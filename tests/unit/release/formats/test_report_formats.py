"""Reports for pipelines: what readers and CI servers find, and what names from files cannot do."""

from dataclasses import replace
from importlib import import_module
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from nhle_onnx.release.formats.junit import render_junit
from nhle_onnx.release.formats.markdown import render_markdown
from nhle_onnx.release.formats.overview import make_overview
from nhle_onnx.release.formats.page import describe_overview
from nhle_onnx.release.page.render import render_page
from nhle_onnx.values.fleet import FleetReport, JobRecord, JobResult
from nhle_onnx.values.overview import Overview
from nhle_onnx.values.report import Accuracy, VerifyReport
from nhle_onnx.values.summary import FileSummary
from nhle_onnx.values.verdict import Check, Evidence
from support import TESTS

SCHEMA = TESTS / "files" / "schemas" / "junit-10.xsd"  # Jenkins's, as pytest ships it
HOSTILE = "<script>|](x)![i](http://h/p)\x1b[2J\x00\ufffe`a`@team #1\n# title"
CHECKS = (
    Check(name="after.acc_f", value=0.25, limit=0.01, better="lower",
          evidence=Evidence(images=20, interval=(0.1, 0.4), bound=0.4)),
    Check(name=HOSTILE, value=0.9, limit=0.5, better="higher"),
    Check(name="known_before", value=None, limit=0.1, better="higher", gap=f"none of {HOSTILE}"),
)  # fmt: skip
ACCURACY = Accuracy(acc_f=0.25, acc_r=0.9, per_class=(0.25, 0.9))
VERIFIED = VerifyReport(
    tool={"name": "nhle-onnx", "version": "1"},
    model=FileSummary(path=HOSTILE, sha256="0" * 64, size_bytes=9, sidecars={}),
    baseline=None,
    labels=(HOSTILE, "b"),
    forget=(0,),
    samples=40,
    preprocess=None,
    providers=(),
    before=None,
    after=ACCURACY,
    unmasked=None,
    delta_acc_r=None,
    changed_tensors=None,
    elapsed_s={"load": 0.25, "measure": 1.5},
    notes=(f"note {HOSTILE}",),
    checks=CHECKS,
)
RECORD = JobRecord(
    inputs="i", report="r", edited="e", verdict="passed", acc_f=0.0, delta_acc_r=-0.01,
    unmasked_acc_f=0.0, elapsed_s=1234.5,
)  # fmt: skip
JOB = JobResult(name="a", model="a.onnx", forget=("3", HOSTILE), status="passed", exit_code=0)
FLEET = FleetReport(
    tool=VERIFIED.tool,
    engine="local",
    workers=1,
    elapsed_s=1300.0,
    interrupted=False,
    counts={"passed": 1, "refused": 1, "failed": 1},
    jobs=(
        replace(JOB, record=RECORD, kept=True),
        replace(JOB, name="b", status="refused", exit_code=3, reason=HOSTILE),
        replace(JOB, name="c", status="failed", exit_code=1, record=RECORD),
    ),
)
OVERVIEWS = {"verify": make_overview(VERIFIED), "fleet": make_overview(FLEET)}
EMPTY = make_overview(replace(FLEET, jobs=(), counts={}))


@pytest.fixture(params=OVERVIEWS)
def overview(request: pytest.FixtureRequest) -> Overview:
    """An overview of each kind, with hostile names."""
    return OVERVIEWS[request.param]


def test_junit_has_a_test_for_each_gate() -> None:
    suite = ET.fromstring(render_junit(OVERVIEWS["verify"]))[0]  # noqa: S314 - ours
    found = [[child.tag for child in case] for case in suite.iter("testcase")]
    assert found == [["failure"], [], ["error"]]
    assert [suite.get(key) for key in ("tests", "failures", "errors")] == ["3", "1", "1"]
    failure = suite.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "0.2500 is above the limit 0.0100"


def test_junit_has_a_test_for_each_job() -> None:
    suite = ET.fromstring(render_junit(OVERVIEWS["fleet"]))[0]  # noqa: S314 - ours
    found = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert found == {"a (kept)": [], "b": ["failure"], "c": ["failure"]}
    assert [case.get("time") for case in suite.iter("testcase")] == [
        "1234.500",
        "0.000",
        "1234.500",
    ]


@pytest.mark.parametrize("given", [*OVERVIEWS.values(), EMPTY], ids=[*OVERVIEWS, "empty"])
def test_junit_keeps_the_schema_that_jenkins_publishes(given: Overview) -> None:
    schema = pytest.importorskip("xmlschema").XMLSchema(str(SCHEMA))
    schema.validate(render_junit(given))


def test_the_schema_refuses_what_is_no_junit() -> None:
    schema: Any = pytest.importorskip("xmlschema").XMLSchema(str(SCHEMA))
    assert not schema.is_valid(render_junit(EMPTY).replace("<testsuite name", "<testsuite title"))


def test_junit_is_read_by_a_reader_of_junit(overview: Overview) -> None:
    reader = pytest.importorskip("junitparser")
    read = reader.JUnitXml.fromstring(render_junit(overview).encode())
    assert read.tests == len(overview.cases)
    assert read.failures == sum(case.verdict == "failed" for case in overview.cases)


def test_nothing_in_a_name_is_markup(overview: Overview) -> None:
    text = render_markdown(overview)
    assert "<script" not in text
    assert "\x1b" not in text
    for line in text.splitlines():
        assert line.startswith(("#", "-", "|")) or "](" not in line.replace("\\", "")
        assert not line.startswith("# title")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {len(overview.header) + 3}


def test_markdown_as_a_reader_renders_it(overview: Overview) -> None:
    markdown = import_module("markdown")  # of the site
    shown = markdown.markdown(render_markdown(overview), extensions=["tables"])
    assert "<img" not in shown
    assert "<a " not in shown
    assert "<code>" not in shown
    assert shown.count("<h1>") == 1
    assert shown.count("<tr>") == len(overview.cases) + 1


def test_the_page_names_every_case(overview: Overview) -> None:
    page = render_page(describe_overview(overview, "nhle-onnx 1"))
    assert "<script>" not in page
    for case in overview.cases:
        assert case.name in page or case.name == HOSTILE


def test_a_report_says_what_it_is_about() -> None:
    text = render_markdown(OVERVIEWS["verify"])
    assert text.startswith("# FAILED: verify, forgetting 0")
    assert f"SHA-256 {'0' * 64}" in text
    assert "**NOT JUDGED**" in text
    assert "known_before: none of" in text
