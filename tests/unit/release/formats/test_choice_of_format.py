"""A report's format, by the suffix of its file."""

from pathlib import Path

import pytest

from nhle_onnx.errors import UsageError
from nhle_onnx.hints import word
from nhle_onnx.release.formats.choose import check_suffix, render_as
from nhle_onnx.release.formats.junit import render_junit
from nhle_onnx.release.formats.markdown import render_markdown
from nhle_onnx.release.formats.overview import make_overview
from support.assertions import assert_told
from support.reports import FLEET, TOOL


@pytest.mark.parametrize("name", ["a.html", "a.md", "a.XML", "a.b.Html", None])
def test_known_formats(name: str | None) -> None:
    check_suffix(Path(name) if name else None)


@pytest.mark.parametrize("name", ["a.txt", "html", "a.html.txt"])
def test_an_unknown_format_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_suffix(Path(name))
    assert_told(caught.value, f"{name} does not end in .html, .md or .xml")
    said = "Name a page --report FILE.html, Markdown or JUnit."
    assert word(caught.value.remedy, "flags") == said


def test_a_report_is_written_as_its_file_says() -> None:
    overview = make_overview(FLEET)

    def fail() -> str:
        pytest.fail("only a page is drawn")

    assert render_as(Path("a.MD"), FLEET, fail) == render_markdown(overview).encode()
    assert render_as(Path("a.xml"), FLEET, fail) == render_junit(overview).encode()
    assert render_as(Path("a.HTML"), FLEET, lambda: "é") == "é".encode()
    page = render_as(Path("a.html"), FLEET).decode()
    assert page.startswith("<!DOCTYPE html>")
    for said in ("Fleet: 2 jobs", " ".join(TOOL.values()), "refused: no such file"):
        assert said in page
