"""The page of a report, by its kind."""

from collections.abc import Callable, Mapping
from typing import Any

from nhle_onnx.release.page.content.audit import describe_audit
from nhle_onnx.release.page.content.detection import describe_detection
from nhle_onnx.release.page.content.detection_audit import describe_detection_audit
from nhle_onnx.release.page.content.fleet import describe_fleet
from nhle_onnx.release.page.content.unlearning import describe_unlearning
from nhle_onnx.release.page.content.verification import describe_verification
from nhle_onnx.release.page.elements import Page
from nhle_onnx.values.audit import AuditReport
from nhle_onnx.values.detection import DetectionReport, DetectionVerifyReport
from nhle_onnx.values.detection_audit import DetectionAuditReport
from nhle_onnx.values.fleet import FleetReport
from nhle_onnx.values.report import UnlearnReport, VerifyReport

# To give a report a page of its own, write its content and add a row.
PAGES: Mapping[type, Callable[[Any], Page]] = {
    UnlearnReport: describe_unlearning,
    VerifyReport: describe_verification,
    AuditReport: lambda report: describe_audit(report, None, ()),
    FleetReport: describe_fleet,
    DetectionReport: describe_detection,
    DetectionVerifyReport: describe_detection,
    DetectionAuditReport: lambda report: describe_detection_audit(report, ()),
}
