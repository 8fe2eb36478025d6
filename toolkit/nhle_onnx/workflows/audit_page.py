"""audit: the report as a page."""

import hashlib
import json
from pathlib import Path

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.save import check_writable, write_files
from nhle_onnx.hints import hint
from nhle_onnx.release.report import read_trajectory, require_report_of
from nhle_onnx.values.report import TrainingStep
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.workflows.audit import Audit
from nhle_onnx.workflows.observer import Observer


def check_page(settings: AuditSettings) -> None:
    """Refuse, before long work, a page or a report that could not be written or read at the end."""
    if settings.page:
        given = (settings.data, settings.members, settings.unlearn_report)
        if settings.page.resolve() in {path.resolve() for path in given if path}:
            message = f"{settings.page} is read by the audit, which changes no file"
            raise InputRefusedError(message, remedy=hint("Give {report} another path."))
        check_writable(settings.page, force=settings.force)
    if settings.unlearn_report:
        _check_report(settings.unlearn_report, settings.model)


def write_page(settings: AuditSettings, audit: Audit, observer: Observer) -> None:
    """Write the report as a page, if one was requested."""
    if settings.page is None:
        return
    observer.start_stage("drawing the page")
    # matplotlib is slow to import, so only if a page is made
    from nhle_onnx.release.page.content import describe_audit  # noqa: PLC0415
    from nhle_onnx.release.page.render import render_page  # noqa: PLC0415

    trajectory = _read_trajectory(settings.unlearn_report) if settings.unlearn_report else ()
    page = render_page(describe_audit(audit.report, audit.projection, trajectory))
    write_files({settings.page: page.encode()}, force=settings.force)


def _check_report(path: Path, model: Path) -> None:
    """Refuse a report of another model, which would show the course of another training."""
    _read_trajectory(path)
    try:
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
    except OSError:
        return  # said better where the model is opened
    require_report_of(path, json.loads(path.read_text("utf-8")), model, digest)


def _read_trajectory(path: Path) -> tuple[TrainingStep, ...]:
    """Read the course of training from the report of `unlearn`."""
    try:
        return read_trajectory(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        message = f"{path} is not a report of `unlearn`: {reason}"
        raise InputRefusedError(message, remedy="Give its .report.json.") from error
