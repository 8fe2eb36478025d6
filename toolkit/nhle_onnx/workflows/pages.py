"""Pages of `verify` and `fleet`, drawn only where one is wanted."""

from pathlib import Path

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.save import check_writable, write_files
from nhle_onnx.hints import hint
from nhle_onnx.values.fleet import FleetReport
from nhle_onnx.values.report import VerifyReport
from nhle_onnx.values.settings.verify import VerifySettings


def check_page(page: Path | None, read: tuple[Path | None, ...], *, force: bool) -> None:
    """Refuse, before long work, a page that could not be written, or that is read."""
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


def write_report_page(
    page: Path | None, report: VerifyReport | FleetReport, *, force: bool
) -> None:
    """Write the report as a page, if one was asked for."""
    if page is None:
        return
    # matplotlib is slow to import: only where a page is wanted
    from nhle_onnx.release.page.content import describe_fleet, describe_verification  # noqa: PLC0415
    from nhle_onnx.release.page.render import render_page  # noqa: PLC0415

    described = (
        describe_fleet(report) if isinstance(report, FleetReport) else describe_verification(report)
    )
    write_files({page: render_page(described).encode()}, force=force)
