"""The file of --report: checked before long work, and written after it."""

from pathlib import Path

from nhle_onnx.graph.save import check_writable, write_files
from nhle_onnx.release.formats.choose import check_suffix, render_as
from nhle_onnx.release.meaning import Report
from nhle_onnx.values.fleet import FleetReport


def check_report_file(path: Path | None, *, force: bool) -> None:
    """Refuse a report in an unknown format, or in a place that cannot be written."""
    check_suffix(path)
    if path:
        check_writable(path, force=force)


def write_report_file(path: Path | None, report: Report | FleetReport, *, force: bool) -> None:
    """Write a report in the format of its file, if one was requested."""
    if path:
        write_files({path: render_as(path, report)}, force=force)
