"""audit: the report as a page, or in another format."""

import json
from pathlib import Path

from nhle_onnx.errors import InputRefusedError, describe_error
from nhle_onnx.graph.regular_files import digest_regular, read_text
from nhle_onnx.graph.save import check_writable, write_files
from nhle_onnx.hints import hint
from nhle_onnx.release.formats.choose import check_suffix, render_as
from nhle_onnx.release.report import read_trajectory, require_report_of
from nhle_onnx.values.detection_audit import DetectionAuditReport
from nhle_onnx.values.report import TrainingStep
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.workflows.audit import Audit
from nhle_onnx.workflows.observer import Observer


def check_page(settings: AuditSettings) -> None:
    """Refuse, before long work, a page or a report that could not be written or read at the end."""
    check_suffix(settings.page)
    if settings.page:
        given = (settings.data, settings.members, settings.unlearn_report)
        if settings.page.resolve() in {path.resolve() for path in given if path}:
            message = f"{settings.page} is read by the audit, which changes no file"
            raise InputRefusedError(message, remedy=hint("Give {report} another path."))
        check_writable(settings.page, force=settings.force)
    if settings.unlearn_report:
        _check_report(settings.unlearn_report, settings.model)


def write_page(settings: AuditSettings, audit: Audit, observer: Observer) -> None:
    """Write the report in the format of its file, if one was requested."""
    if settings.page is not None:
        observer.start_stage("writing the report")
        content = render_as(settings.page, audit.report, lambda: _draw(settings, audit))
        write_files({settings.page: content}, force=settings.force)


def _draw(settings: AuditSettings, audit: Audit) -> str:
    # matplotlib is slow to import, so only if a page is made
    from nhle_onnx.release.page.content.audit import describe_audit  # noqa: PLC0415
    from nhle_onnx.release.page.content.detection_audit import (  # noqa: PLC0415
        describe_detection_audit,
    )
    from nhle_onnx.release.page.render import render_page  # noqa: PLC0415

    trajectory = _read_trajectory(settings.unlearn_report) if settings.unlearn_report else ()
    if isinstance(audit.report, DetectionAuditReport):
        return render_page(describe_detection_audit(audit.report, trajectory))
    return render_page(describe_audit(audit.report, audit.projection, trajectory))


def _check_report(path: Path, model: Path) -> None:
    """Refuse a report of another model, which would show the course of another training."""
    _read_trajectory(path)
    try:
        digest = digest_regular(model)
    except OSError:
        return  # said better where the model is opened
    require_report_of(path, json.loads(read_text(path)), model, digest)


def _read_trajectory(path: Path) -> tuple[TrainingStep, ...]:
    """Read the course of training from the report of `unlearn`."""
    try:
        return read_trajectory(json.loads(read_text(path)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(describe_error(error).split())
        message = f"{path} is not a report of `unlearn`: {reason}"
        raise InputRefusedError(message, remedy="Give its .report.json.") from error
