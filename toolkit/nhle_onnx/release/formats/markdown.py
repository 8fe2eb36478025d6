"""Reports as Markdown, for job summaries and pull requests."""

import re
from collections.abc import Iterable, Iterator
from html import escape

from nhle_onnx.text import to_line
from nhle_onnx.values.overview import Overview
from nhle_onnx.values.verdict import Verdict

# what GitHub and CommonMark take for markup, or for a mention; `_` inside a word is not
_MARKUP = re.compile(r"([\\`*\[\]|!~#@]|(?<!\w)_|_(?!\w))")
VERDICTS: dict[Verdict, str] = {
    "passed": "PASSED",
    "failed": "FAILED",
    "not-judged": "NOT JUDGED",
}


def render_markdown(overview: Overview) -> str:
    """Write one document: verdict, cases, reasons, notes, and the files that it is about."""
    return "\n".join(_list_lines(overview))


def escape_markdown(text: str) -> str:
    """Write text on one line, so that nothing in it is markup; it may come from strangers."""
    return _MARKUP.sub(r"\\\1", escape(to_line(text), quote=False))


def _list_lines(overview: Overview) -> Iterator[str]:
    verdict = VERDICTS[overview.verdict]
    yield f"# {verdict}: {overview.command}, {escape_markdown(overview.title)}\n"
    yield f"{escape_markdown(overview.meaning)}.\n"
    yield _write_row(("case", "verdict", *overview.header))
    yield _write_row(["---"] * (2 + len(overview.header)))
    for case in overview.cases:
        word = VERDICTS[case.verdict]
        shown = word.lower() if case.verdict == "passed" else f"**{word}**"
        yield _write_row((escape_markdown(case.name), shown, *map(escape_markdown, case.cells)))
    yield from _list_points("Not passed", _list_reasons(overview))
    yield from _list_points("Notes", map(escape_markdown, overview.notes))
    facts = overview.facts.items()
    yield from _list_points(
        "Made from", (f"{name}: {escape_markdown(fact)}" for name, fact in facts)
    )
    yield ""


def _list_reasons(overview: Overview) -> Iterator[str]:
    for case in overview.cases:
        if case.reason:
            yield f"{escape_markdown(case.name)}: {escape_markdown(case.reason)}"


def _list_points(title: str, points: Iterable[str]) -> Iterator[str]:
    lines = [f"- {point}" for point in points]
    if lines:
        yield "\n".join(["", f"## {title}", "", *lines])


def _write_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
