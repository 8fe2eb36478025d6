"""Reports as JUnit XML, which CI servers show as tests: each gate, or each job, is a test."""

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from nhle_onnx.text import to_line
from nhle_onnx.values.overview import Case, Overview
from nhle_onnx.values.verdict import Verdict

# what was not judged is an error, like a test that could not run: it must not look passed
_ELEMENTS: dict[Verdict, str] = {"failed": "failure", "not-judged": "error"}


def render_junit(overview: Overview) -> str:
    """Write one document, by the schema that Jenkins publishes."""
    name = f"nhle-onnx {overview.command}"
    counts = {
        "tests": str(len(overview.cases)),
        "failures": _count(overview, "failed"),
        "errors": _count(overview, "not-judged"),
        "time": f"{overview.elapsed_s:.3f}",
    }
    suites = ET.Element("testsuites", {"name": name, **counts})
    named = {"name": to_line(f"{name}: {overview.title}"), **counts}
    suite = ET.SubElement(suites, "testsuite", named)
    properties = ET.SubElement(suite, "properties")
    for key, fact in {"verdict": overview.verdict, **overview.facts}.items():
        ET.SubElement(properties, "property", name=key, value=to_line(fact))
    suite.extend(_make_case(overview, case) for case in overview.cases)
    text = "\n".join([to_line(overview.meaning), *_list_notes(overview)])
    ET.SubElement(suite, "system-out").text = text
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, "unicode")}\n'


def _make_case(overview: Overview, case: Case) -> ET.Element:
    name = to_line(case.name)
    time = f"{case.elapsed_s:.3f}"
    element = ET.Element(
        "testcase", classname=f"nhle-onnx.{overview.command}", name=name, time=time
    )
    if kind := _ELEMENTS.get(case.verdict):
        reason = to_line(case.reason)
        ET.SubElement(element, kind, type=case.verdict, message=reason).text = reason
    return element


def _count(overview: Overview, verdict: Verdict) -> str:
    return str(sum(case.verdict == verdict for case in overview.cases))


def _list_notes(overview: Overview) -> Iterator[str]:
    return (f"note: {to_line(note)}" for note in overview.notes)
