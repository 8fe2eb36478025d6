"""audit on a detector: attack it as anyone with the file could, and judge what is found."""

from dataclasses import replace
from typing import TYPE_CHECKING

from nhle_onnx.auditing.detection.context import NO_CLASS, DetectorContext
from nhle_onnx.hints import word, word_all
from nhle_onnx.values.audit import AuditSamples, Curves, Measure, Skipped
from nhle_onnx.values.detection import Precision, ShownScene
from nhle_onnx.values.detection_audit import DetectionAuditReport
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.settings.shared import has_page
from nhle_onnx.verification.accuracy import subtract
from nhle_onnx.verification.gates.judge import word_checks
from nhle_onnx.workflows.classifier import TOOL, list_environment, summarize_file
from nhle_onnx.workflows.detection.audit_gates import judge_detector
from nhle_onnx.workflows.detection.audit_inputs import Detectors, load_detectors, set_up
from nhle_onnx.workflows.detection.measure import Reader, open_reader
from nhle_onnx.workflows.detection.scenes import collect_scenes
from nhle_onnx.workflows.observer import Stopwatch

if TYPE_CHECKING:
    from nhle_onnx.values.settings.audit import AuditSettings


def audit_detector(settings: "AuditSettings", watch: Stopwatch) -> DetectionAuditReport:
    """Load, attack, judge. Changes no file."""
    with watch.stage("load", "loading"):
        loaded = load_detectors(settings)
    with watch.stage("answers", "reading what each detector says"):
        context, precisions = set_up(loaded, watch)
    with watch.stage("import_torch", "starting torch"):
        # torch takes seconds to import: only here, once all that can be refused was refused
        from nhle_onnx.workflows.attack_runs import (  # noqa: PLC0415
            describe_left_out,
            list_attacks,
            run_attacks,
        )
        from nhle_onnx.workflows.detection.attacks import ATTACKS  # noqa: PLC0415
    curves: Curves = {}
    device, attacks = list_attacks(ATTACKS, context, settings, curves, watch)
    measures, skipped = run_attacks(attacks, watch)
    report = _make_report(loaded, context, precisions, (measures, skipped), watch)
    notes = word_all(describe_left_out(ATTACKS, settings.effort), settings.wording)
    return replace(report, device=device, curves=curves, notes=(*report.notes, *notes))


def _make_report(
    loaded: Detectors,
    context: DetectorContext,
    precisions: dict[Role, Precision],
    attacked: tuple[tuple[Measure, ...], tuple[Skipped, ...]],
    watch: Stopwatch,
) -> DetectionAuditReport:
    settings, subjects = loaded.settings, loaded.subjects
    edited, original = subjects["edited"], subjects["original"]
    measures, skipped = attacked
    images = int((context.shown != NO_CLASS).sum())
    notes, checks = judge_detector(precisions, measures, skipped, settings.limits, images)
    return DetectionAuditReport(
        tool=TOOL,
        environment=list_environment(),
        command=settings.command,
        seed=settings.seed,
        model=summarize_file(edited.model),
        baseline=summarize_file(original.model),
        reference=summarize_file(subjects["reference"].model) if settings.reference else None,
        labels=original.labels,
        forget=loaded.request.forget,
        samples=AuditSamples(
            attack=int(context.is_attack.sum()),
            judge=len(context.judged),
            members=0,
            source=str(settings.data),
        ),
        preprocess=original.preprocess,
        provider=_open_reader(loaded, "edited").session.provider,
        kernels=settings.kernels,
        device="",
        effort=settings.effort,
        precisions=precisions,
        delta_map_r=subtract(precisions["edited"].map_r, precisions["original"].map_r),
        curves={},
        measures=measures,
        skipped=tuple(
            replace(each, reason=word(each.reason, settings.wording)) for each in skipped
        ),
        elapsed_s=watch.elapsed_s,
        notes=word_all((*loaded.scenes.notes, *notes), settings.wording),
        checks=word_checks(checks, settings.wording),
        scenes=_collect(loaded),
    )


def _open_reader(loaded: Detectors, role: Role) -> Reader:
    settings = loaded.settings
    return open_reader(loaded.subjects[role], settings.provider, settings.kernels)


def _collect(loaded: Detectors) -> tuple[ShownScene, ...]:
    """Collect scenes for a page, if one was asked for, by the model and its baseline."""
    settings = loaded.settings
    if not has_page(settings.page):
        return ()
    roles: tuple[Role, ...] = ("edited", "original")
    readers = {role: _open_reader(loaded, role) for role in roles}
    return collect_scenes(readers, loaded.scenes, loaded.request, settings.shown)
