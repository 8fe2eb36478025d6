"""The format of a report, by its file's suffix."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from nhle_onnx.errors import UsageError
from nhle_onnx.hints import hint
from nhle_onnx.release.formats.junit import render_junit
from nhle_onnx.release.formats.markdown import render_markdown
from nhle_onnx.release.formats.overview import make_overview
from nhle_onnx.release.meaning import Report
from nhle_onnx.values.fleet import FleetReport
from nhle_onnx.values.overview import Overview

PAGE: Final = ".html"
RENDERERS: Final[Mapping[str, Callable[[Overview], str]]] = {
    ".md": render_markdown,
    ".xml": render_junit,
}
_KNOWN = (PAGE, *RENDERERS)


def check_suffix(path: Path | None) -> None:
    """Refuse, before long work, a report in a format that does not exist."""
    if path and path.suffix.lower() not in _KNOWN:
        message = f"{path} does not end in {', '.join(_KNOWN[:-1])} or {_KNOWN[-1]}"
        remedy = hint("Name a page {page}, Markdown or JUnit.", page=hint("{report=FILE.html}"))
        raise UsageError(message, remedy=remedy)


def render_as(path: Path, report: Report | FleetReport, draw: Callable[[], str] = str) -> bytes:
    """Write a report in the format of its file; `draw` writes its own page, if it has one."""
    render = RENDERERS.get(path.suffix.lower())
    if render:
        return render(make_overview(report)).encode()
    return (draw() or _draw(report)).encode()


def _draw(report: Report | FleetReport) -> str:
    # slow to import, so only if a page is made
    from nhle_onnx.release.formats.page import describe_overview  # noqa: PLC0415
    from nhle_onnx.release.page.render import render_page  # noqa: PLC0415

    return render_page(describe_overview(make_overview(report), " ".join(report.tool.values())))
