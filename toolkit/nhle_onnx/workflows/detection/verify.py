"""verify on a detector: what it still detects of a class. Never imports torch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nhle_onnx.data.boxes.scenes import SceneSource
from nhle_onnx.data.labels import parse_request
from nhle_onnx.errors import UsageError
from nhle_onnx.hints import hint, word_all
from nhle_onnx.values.detection import DetectionVerifyReport, Precision, ShownScene
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.shared import has_page
from nhle_onnx.values.settings.verify import VerifySettings
from nhle_onnx.verification.accuracy import subtract
from nhle_onnx.verification.changes import Changes, compare_models
from nhle_onnx.verification.gates.judge import word_checks
from nhle_onnx.workflows.classifier import TOOL, summarize_file
from nhle_onnx.workflows.detection.fitting import open_other, open_truth, put_back, require_same
from nhle_onnx.workflows.detection.gates import judge_precision
from nhle_onnx.workflows.detection.measure import Reader, detect, judge, open_reader
from nhle_onnx.workflows.detection.scenes import collect_scenes
from nhle_onnx.workflows.detection.subject import Subject
from nhle_onnx.workflows.observer import Stopwatch

if TYPE_CHECKING:
    from nhle_onnx.values.outcomes import Role

_OTHER_GRAPH = "the graph itself differs from the baseline's, not only its weights"


def verify_detector(
    settings: VerifySettings, subject: Subject, watch: Stopwatch
) -> DetectionVerifyReport:
    """Measure a detector on images with boxes, and against its baseline if one is given."""
    _refuse_options(settings)
    request = parse_request(settings.forget, subject.labels)
    baseline = None
    if settings.baseline:
        baseline = open_other(settings.baseline, settings.flags, subject.model.path)
    source = open_truth(settings.data, subject)
    readers, misfit = _open_readers(settings, subject, baseline)
    truth = [boxes for boxes in source.boxes if boxes is not None]
    with watch.stage("measure", "measuring"):
        answers = detect(readers, source, watch.report_samples)
        found = [judge(subject, each, truth, request) for each in answers]
    after = found[0]
    before, unmasked = (*found[1:], None, None)[:2]
    changes = compare_models(baseline.model.proto, subject.model.proto) if baseline else None
    notes = (*source.notes, *_describe(changes))
    checks = judge_precision(after, before, unmasked, settings.limits, misfit=misfit)
    return DetectionVerifyReport(
        tool=TOOL,
        model=summarize_file(subject.model),
        baseline=summarize_file(baseline.model) if baseline else None,
        labels=subject.labels,
        forget=request.forget,
        samples=len(truth),
        preprocess=subject.preprocess,
        provider=readers[0].session.provider,
        kernels=settings.kernels,
        before=before,
        after=after,
        unmasked=unmasked,
        delta_map_r=_subtract(after, before),
        changed_tensors=(*changes.changed, *changes.added) if changes else None,
        elapsed_s=watch.elapsed_s,
        notes=word_all(notes, settings.wording),
        checks=word_checks(checks, settings.wording),
        scenes=_collect(settings, readers, source, request),
    )


def _open_readers(
    settings: VerifySettings, subject: Subject, baseline: Subject | None
) -> tuple[list[Reader], str]:
    """Open the model, its baseline, and the model with the baseline's class channels, if they can
    be put back; else say why not.
    """
    where = (settings.providers[0], settings.kernels)
    readers, misfit = [open_reader(subject, *where)], ""
    if baseline:
        require_same(subject, baseline)
        readers.append(open_reader(baseline, *where))
        restored, misfit = put_back(subject, baseline)
        readers += [open_reader(subject, *where, restored)] if restored else []
    return readers, misfit


def _collect(
    settings: VerifySettings,
    readers: Sequence[Reader],
    source: SceneSource,
    request: ForgetRequest,
) -> tuple[ShownScene, ...]:
    """Collect scenes for a page, if one was asked for, by the model and its baseline."""
    if not has_page(settings.page):
        return ()
    roles: dict[Role, Reader] = dict(zip(("edited", "original"), readers, strict=False))
    return collect_scenes(roles, source, request, settings.shown)


def _refuse_options(settings: VerifySettings) -> None:
    """Raise UsageError for what detectors do not have yet."""
    if settings.engine != "local" or len(settings.providers) > 1:
        message = "a detector is verified in this process, on one provider"
        raise UsageError(message, remedy=hint("Leave {engine=…} out, and give one {provider=…}."))


def _describe(changes: Changes | None) -> tuple[str, ...]:
    return () if changes is None or changes.is_graph_same else (_OTHER_GRAPH,)


def _subtract(after: Precision, before: Precision | None) -> float | None:
    return subtract(after.map_r, before.map_r) if before else None
