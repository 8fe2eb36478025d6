"""The report as a file: checked before long work, written after it."""

from pathlib import Path

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.save import check_writable, write_files
from nhle_onnx.hints import hint
from nhle_onnx.release.formats.choose import check_suffix, render_as
from nhle_onnx.release.meaning import Report
from nhle_onnx.values.fleet import FleetReport
from nhle_onnx.values.settings.verify import VerifySettings


def check_page(page: Path | None, read: tuple[Path | None, ...], *, force: bool) -> None:
    """Refuse, before long work, a report in an unknown format, or in a place that is not for it."""
    check_suffix(page)
    if page is None:
        return
    if page.resolve() in {path.resolve() for path in read if path}:
        message = f"{page} is read by this command, which changes no file that it reads"
        raise InputRefusedError(message, remedy=hint("Give {report} another path."))
    check_writable(page, force=force)


def check_verify_page(settings: VerifySettings) -> None:
    """Do as `check_page`, for `verify`."""
    read = (settings.model, settings.data, settings.baseline)
    check_page(settings.page, read, force=settings.force)


def write_report_page(page: Path | None, report: Report | FleetReport, *, force: bool) -> None:
    """Write the report in the format of its file, if one was asked for."""
    if page:
        content = render_as(page, report, lambda: draw_page(report))
        write_files({page: content}, force=force)


def draw_page(report: Report | FleetReport) -> str:
    """Draw the report's own page; there is none for a device's result."""
    # matplotlib is slow to import: only where a page is wanted
    from nhle_onnx.release.page.content.choose import PAGES  # noqa: PLC0415
    from nhle_onnx.release.page.render import render_page  # noqa: PLC0415

    describe = PAGES.get(type(report))
    return render_page(describe(report)) if describe else ""
