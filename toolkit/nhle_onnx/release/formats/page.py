"""Reports that have no page of their own as an HTML page."""

from nhle_onnx.release.formats.markdown import VERDICTS
from nhle_onnx.release.page.cleaning import clean
from nhle_onnx.release.page.elements import Page, Row, Section, Table, Verdict
from nhle_onnx.values.overview import Overview


def describe_overview(overview: Overview, tool: str) -> Page:
    """Return the page of an overview."""
    overview = clean(overview)
    rows = tuple(
        Row(
            cells=(case.name, VERDICTS[case.verdict].lower(), *case.cells),
            is_marked=case.verdict != "passed",
        )
        for case in overview.cases
    )
    header = ("case", "verdict", *overview.header)
    table = Table(
        title="Each case", header=header, rows=rows, figures=frozenset(range(2, len(header)))
    )
    reasons = tuple(f"{case.name}: {case.reason}" for case in overview.cases if case.reason)
    facts = tuple(f"{name}: {fact}" for name, fact in overview.facts.items())
    sections = (
        Section(title="Checks", tables=(table,) if rows else (), points=reasons),
        Section(title="Notes", points=overview.notes),
        Section(title="Made from", points=facts),
    )
    word = VERDICTS[overview.verdict].capitalize()
    return Page(
        title=f"{overview.command.capitalize()}: {overview.title}",
        tool=tool,
        verdict=Verdict(
            outcome=overview.verdict, sentence=f"{word}: {overview.meaning}.", explanation=()
        ),
        sections=tuple(section for section in sections if not section.is_empty),
    )
