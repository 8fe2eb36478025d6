"""`unlearn`, `verify`, `audit` and `inspect` as functions."""

from pathlib import Path
from typing import Unpack

from nhle_onnx.api.calls import documented, render_call
from nhle_onnx.api.checks import check_keywords, fill_settings, name_classes
from nhle_onnx.api.keywords import (
    AuditKeywords,
    Classes,
    InspectKeywords,
    StrPath,
    UnlearnKeywords,
    VerifyKeywords,
)
from nhle_onnx.engines.choose import check_engine
from nhle_onnx.graph.inputs import remember_inputs
from nhle_onnx.values.audit import AuditReport
from nhle_onnx.values.detection import DetectionReport, DetectionVerifyReport
from nhle_onnx.values.detection_audit import DetectionAuditReport
from nhle_onnx.values.report import UnlearnReport, VerifyReport
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.values.settings.inspect import InspectSettings
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.values.settings.verify import VerifySettings
from nhle_onnx.values.summary import InspectReport
from nhle_onnx.workflows.audit import audit_model
from nhle_onnx.workflows.audit_page import check_page, write_page
from nhle_onnx.workflows.forget import forget_class
from nhle_onnx.workflows.inspect import inspect_model
from nhle_onnx.workflows.observer import Observer, Silence, Stopwatch
from nhle_onnx.workflows.pages import check_verify_page, write_report_page
from nhle_onnx.workflows.verify import verify_model


@documented(UnlearnSettings)
@remember_inputs()
def unlearn(
    model: StrPath,
    *,
    forget: Classes,
    observer: Observer | None = None,
    **keywords: Unpack[UnlearnKeywords],
) -> UnlearnReport | DetectionReport:
    """Make a model forget classes, verify the edited file, and write it with its report.

    The report of a detector has average precisions in place of accuracies. Files are written as by
    the command, even if a gate fails: check `passed`. `forget` is an index, a label, or several of
    them; an `observer` is told about progress.

    Raises UsageError, InputRefusedError, UnsupportedModelError, DeviceUnavailableError or
    TrainingDivergedError; nothing is written then.

    Examples:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import nhle_onnx
        >>> model = "models/lenet5_fashion_mnist/model.onnx"
        >>> with TemporaryDirectory() as folder:
        ...     report = nhle_onnx.unlearn(model, forget="Dress", out=f"{folder}/new.onnx")
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['labels.txt', 'new.onnx', 'new.report.json', 'preprocessor_config.json']
        >>> report.verdict, report.forget
        ('passed', (3,))
        >>> report.after.acc_f < 0.01 < report.before.acc_f
        True
    """
    values = check_keywords(UnlearnSettings, keywords)
    settings = fill_settings(
        UnlearnSettings,
        values,
        model=Path(model),
        forget=name_classes(forget),
        command=render_call("unlearn", model=model, forget=forget, **values),
    )
    watch = Stopwatch(observer or Silence())
    return forget_class(settings, watch)


@documented(VerifySettings)
@remember_inputs()
def verify(
    model: StrPath,
    *,
    forget: Classes,
    data: StrPath,
    observer: Observer | None = None,
    **keywords: Unpack[VerifyKeywords],
) -> VerifyReport | DetectionVerifyReport:
    """Measure what a model still knows about the forgotten classes, and judge it by the gates.

    Writes nothing except a report, if `report` names one, and needs no torch. Raises UsageError,
    InputRefusedError, UnsupportedModelError or DeviceUnavailableError.

    Examples:
        >>> import nhle_onnx
        >>> report = nhle_onnx.verify(
        ...     "models/lenet5_fashion_mnist/model.onnx",
        ...     forget=3,
        ...     data="calibration_samples/fashion_mnist/evaluation.npz",
        ... )
        >>> report.samples, report.verdict  # this model has not forgotten anything
        (2000, 'failed')
        >>> [check.name for check in report.checks if check.verdict == "failed"]
        ['after.acc_f']
    """
    values = check_keywords(VerifySettings, keywords)
    settings = fill_settings(
        VerifySettings, values, model=Path(model), forget=name_classes(forget), data=Path(data)
    )
    check_engine(settings.engine)
    check_verify_page(settings)
    report = verify_model(settings, observer or Silence())
    write_report_page(settings.page, report, force=settings.force)
    return report


@documented(AuditSettings)
@remember_inputs()
def audit(
    model: StrPath,
    *,
    baseline: StrPath,
    forget: Classes,
    data: StrPath,
    observer: Observer | None = None,
    **keywords: Unpack[AuditKeywords],
) -> AuditReport | DetectionAuditReport:
    """Attack an edited model as anyone with the file could, and compare it with the original and
    with a retrained model. Writes nothing except a report, if `report` names one. Raises
    UsageError, InputRefusedError, UnsupportedModelError or DeviceUnavailableError.
    """
    values = check_keywords(AuditSettings, keywords)
    command = render_call(
        "audit", model=model, baseline=baseline, forget=forget, data=data, **values
    )
    settings = fill_settings(
        AuditSettings,
        values,
        model=Path(model),
        baseline=Path(baseline),
        forget=name_classes(forget),
        data=Path(data),
        command=command,
    )
    check_page(settings)
    watching = observer or Silence()
    found = audit_model(settings, watching)
    write_page(settings, found, watching)
    return found.report


@documented(InspectSettings)
@remember_inputs()
def inspect(model: StrPath, **keywords: Unpack[InspectKeywords]) -> InspectReport:
    """Describe a model, and what `unlearn` can do with it. Needs no torch.

    `reasons` says what prevents editing. Raises UsageError, and InputRefusedError or
    UnsupportedModelError where the file itself cannot be read.

    Examples:
        >>> import nhle_onnx
        >>> report = nhle_onnx.inspect("models/lenet5_fashion_mnist/model.onnx")
        >>> report.head.op, report.head.num_classes, report.head.feature_dim
        ('Gemm', 10, 84)
        >>> report.unlearn["nhle-cwm"], report.reasons
        (True, ())
        >>> nhle_onnx.inspect("no.onnx")
        Traceback (most recent call last):
        ...
        nhle_onnx.errors.InputRefusedError: no.onnx does not exist
    """
    values = check_keywords(InspectSettings, keywords)
    return inspect_model(fill_settings(InspectSettings, values, model=Path(model)))
