"""`unlearn`, `verify`, `audit` and `inspect` as functions."""

from pathlib import Path
from typing import Unpack

from nhle_onnx.api.keywords import (
    AuditKeywords,
    Classes,
    ModelKeywords,
    StrPath,
    UnlearnKeywords,
    VerifyKeywords,
    check_keywords,
    name_classes,
    render_call,
    take_fields,
    take_model_flags,
)
from nhle_onnx.engines.choose import check_engine
from nhle_onnx.values.audit import AuditReport
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.report import Limits, UnlearnReport, VerifyReport
from nhle_onnx.values.summary import InspectReport
from nhle_onnx.workflows.audit import AuditSettings, audit_model
from nhle_onnx.workflows.audit_page import check_page, write_page
from nhle_onnx.workflows.comparison import VerifySettings
from nhle_onnx.workflows.inspect import inspect_model
from nhle_onnx.workflows.observer import Observer, Silence, Stopwatch
from nhle_onnx.workflows.plan import plan_unlearning
from nhle_onnx.workflows.unlearn import carry_out
from nhle_onnx.workflows.unlearn_settings import UnlearnSettings
from nhle_onnx.workflows.verify import verify_model


def unlearn(
    model: StrPath,
    *,
    forget: Classes,
    observer: Observer | None = None,
    **keywords: Unpack[UnlearnKeywords],
) -> UnlearnReport:
    """Make a model forget classes, verify the edited file, and write it with its report.

    Files are written as by the command, also where a gate fails: look at `passed`. `forget` is an
    index, a label, or several of them; an `observer` hears of the progress.

    Raises UsageError, InputRefusedError, UnsupportedModelError, DeviceUnavailableError or
    TrainingDivergedError, and then has written nothing.

    Examples:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import nhle_onnx
        >>> model = "models/lenet5_fashion_mnist/model.onnx"
        >>> with TemporaryDirectory() as folder:
        ...     report = nhle_onnx.unlearn(model, forget="Dress", out=f"{folder}/new.onnx")
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['new.onnx', 'new.report.json']
        >>> report.passed, report.forget
        (True, (3,))
        >>> report.after.acc_f < 0.01 < report.before.acc_f
        True
    """
    values = check_keywords(UnlearnKeywords, keywords)
    command = render_call("unlearn", model=model, forget=forget, **values)
    settings = UnlearnSettings(
        model=Path(model),
        forget=name_classes(forget),
        flags=take_model_flags(values),
        options=take_fields(UnlearnOptions, values),
        limits=take_fields(Limits, values),
        page=values.pop("report", None),
        command=command,
        **values,
    )
    watch = Stopwatch(observer or Silence())
    return carry_out(plan_unlearning(settings, watch), watch)


def verify(
    model: StrPath,
    *,
    forget: Classes,
    data: StrPath,
    observer: Observer | None = None,
    **keywords: Unpack[VerifyKeywords],
) -> VerifyReport:
    """Measure what a model still knows of the forgotten classes, and judge it by the gates.

    Writes nothing, and needs no torch. Raises UsageError, InputRefusedError,
    UnsupportedModelError or DeviceUnavailableError.

    Examples:
        >>> import nhle_onnx
        >>> report = nhle_onnx.verify(
        ...     "models/lenet5_fashion_mnist/model.onnx",
        ...     forget=3,
        ...     data="calibration_samples/fashion_mnist/evaluation.npz",
        ... )
        >>> report.samples, report.passed  # it was never made to forget
        (2000, False)
        >>> [check.name for check in report.checks if not check.passed]
        ['after.acc_f']
    """
    values = check_keywords(VerifyKeywords, keywords)
    settings = VerifySettings(
        model=Path(model),
        forget=name_classes(forget),
        data=Path(data),
        flags=take_model_flags(values),
        limits=take_fields(Limits, values),
        providers=values.pop("provider", ("auto",)),
        engine=check_engine(values.pop("engine", "local")),
        workers=values.pop("jobs", None),
        **values,
    )
    return verify_model(settings, observer or Silence())


def audit(
    model: StrPath,
    *,
    baseline: StrPath,
    forget: Classes,
    data: StrPath,
    observer: Observer | None = None,
    **keywords: Unpack[AuditKeywords],
) -> AuditReport:
    """Attack an edited model as somebody who holds the file could, and place what is found.

    Writes nothing but the page, where `report` names one. Raises UsageError, InputRefusedError,
    UnsupportedModelError or DeviceUnavailableError.
    """
    values = check_keywords(AuditKeywords, keywords)
    command = render_call(
        "audit", model=model, baseline=baseline, forget=forget, data=data, **values
    )
    settings = AuditSettings(
        model=Path(model),
        baseline=Path(baseline),
        forget=name_classes(forget),
        data=Path(data),
        flags=take_model_flags(values),
        limits=take_fields(Limits, values),
        page=values.pop("report", None),
        command=command,
        **values,
    )
    check_page(settings)
    watching = observer or Silence()
    found = audit_model(settings, watching)
    write_page(settings, found, watching)
    return found.report


def inspect(model: StrPath, **keywords: Unpack[ModelKeywords]) -> InspectReport:
    """Describe a model, and what `unlearn` can do with it. Needs no torch.

    What stands in the way is in `reasons`. Raises UsageError, and InputRefusedError or
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
    return inspect_model(Path(model), take_model_flags(check_keywords(ModelKeywords, keywords)))
