"""Reports as a notebook shows them: the verdict, the figures, and each check."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from nhle_onnx.text import format_number, name_forgotten, to_printable
from nhle_onnx.values.task import list_figures

_COLOURS = {"passed": "#00664a", "failed": "#a8320a", "not-judged": "#5d5300"}


def render_notebook(report: Any) -> str:  # noqa: ANN401 - any report with checks
    """Render a report as a few lines of HTML, with inline styles alone."""
    title = report.verdict.replace("-", " ").upper()
    named = name_forgotten(report.labels, report.forget)
    heading = (
        f'<p><strong style="color: {_COLOURS[report.verdict]}; background: #fff; padding: 0 .3em">'
        f"{title}</strong> {escape(named)}</p>"
    )
    figures = list_figures(report) if hasattr(report, "after") else ()
    titles = (f"{figure.term.title}, {figure.term.classes}" for figure in figures)
    rows = [
        (name, *(format_number(getattr(figure, name)) for figure in figures))
        for name in ("before", "after")
        if getattr(report, name, None)
    ]
    checks = [
        (check.name, format_number(check.value), _limit(check), check.verdict)
        for check in report.checks
    ]
    return heading + "".join(
        _render_table(header, body)
        for header, body in (
            (("", *titles), rows),
            (("check", "value", "limit", "verdict"), checks),
        )
        if body
    )


def _limit(check: Any) -> str:  # noqa: ANN401 - a check
    return f"{'≤' if check.better == 'lower' else '≥'} {format_number(check.limit)}"


def _render_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "".join(_render_row("td", map(to_printable, row)) for row in rows)
    return f"<table><thead>{_render_row('th', header)}</thead><tbody>{body}</tbody></table>"


def _render_row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
