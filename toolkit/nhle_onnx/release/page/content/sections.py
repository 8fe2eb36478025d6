"""Sections that several pages have, and how they are put together."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from nhle_onnx.release.page.class_tables import tabulate_accuracy
from nhle_onnx.release.page.elements import Gallery, Picture, Section
from nhle_onnx.release.page.galleries import show_forgotten, show_mistakes
from nhle_onnx.release.page.pictures.answers import (
    count_flows,
    picture_accuracy,
    picture_confusion,
    picture_flows,
)
from nhle_onnx.release.page.pictures.training import picture_trajectory
from nhle_onnx.release.page.tables import list_gaps, list_preprocess, tabulate_checks
from nhle_onnx.values.detection import DetectionReport, DetectionVerifyReport
from nhle_onnx.values.detection_audit import AnyAudit
from nhle_onnx.values.outcomes import Outcomes, Role
from nhle_onnx.values.report import Accuracy, TrainingStep, UnlearnReport, VerifyReport
from nhle_onnx.values.verdict import Check

Part = TypeVar("Part", Picture, Gallery)
Trajectory = Sequence[TrainingStep]


def describe_checks(checks: Sequence[Check]) -> Section:
    """Describe each figure against its limit."""
    return Section(title="Checks", tables=(tabulate_checks(checks),), points=list_gaps(checks))


def describe_forgotten(
    labels: Sequence[str], forget: Sequence[int], outcomes: Outcomes | None
) -> Section:
    """Describe the images that were forgotten, and what they are taken for now."""
    title = "What was forgotten"
    if outcomes is None:
        return Section(title=title)
    flows = count_flows(outcomes, forget, len(labels))
    return Section(
        title=title,
        galleries=keep(show_forgotten(labels, outcomes)),
        pictures=keep(picture_flows(labels, forget, flows) if flows else None),
    )


def describe_answers(
    labels: Sequence[str],
    forget: Sequence[int],
    accuracies: Mapping[Role, Accuracy],
    images: int,
    outcomes: Outcomes | None,
) -> Section:
    """Describe the accuracy of every class, the worst mistakes, and which classes are confused."""
    title = "What the models answer"
    if not accuracies:
        return Section(title=title)
    return Section(
        title=title,
        sentences=(_say_images(outcomes),) if outcomes else (),
        galleries=keep(show_mistakes(labels, outcomes) if outcomes else None),
        pictures=keep(
            picture_accuracy(labels, forget, accuracies),
            picture_confusion(labels, forget, outcomes) if outcomes else None,
        ),
        tables=tabulate_accuracy(labels, forget, accuracies, images),
    )


def _say_images(outcomes: Outcomes) -> str:
    of_all = "" if outcomes.images == outcomes.available else f" of {outcomes.available:,}"
    return f"Images and mistakes on this page are of {outcomes.images:,}{of_all} images."


def list_run(report: AnyAudit | UnlearnReport | DetectionReport) -> dict[str, Any]:
    """List what was run, and where."""
    return {
        "command": report.command,
        "seed": report.seed,
        "provider": report.provider,
        "sums of 8-bit products": report.kernels,
        "device": report.device,
    }


def list_judged(report: VerifyReport | DetectionVerifyReport) -> dict[str, Any]:
    """List on what a model was verified, and how long it took."""
    return {
        "sums of 8-bit products": report.kernels,
        "images": report.samples,
        **list_preprocess(report.preprocess),
        name_tool(report.tool): report.schema,
        **list_seconds(report.elapsed_s),
    }


def describe_training(trajectory: Trajectory) -> Section:
    """Describe how training went, if that is known."""
    return Section(
        title="How it was made to forget",
        pictures=(picture_trajectory(trajectory),) if trajectory else (),
    )


def list_surroundings(report: AnyAudit | UnlearnReport | DetectionReport) -> dict[str, Any]:
    """Versions, and how long it took."""
    tool = {name_tool(report.tool): report.schema}
    return {**tool, **report.environment, **list_seconds(report.elapsed_s)}


def list_seconds(elapsed_s: Mapping[str, float]) -> dict[str, float]:
    """List how long each stage took."""
    return {f"seconds: {stage}": took for stage, took in elapsed_s.items()}


def name_tool(tool: Mapping[str, str]) -> str:
    """Name the program and its version."""
    return " ".join(tool.values())


def keep(*parts: Part | None) -> tuple[Part, ...]:
    """Keep what is there."""
    return tuple(part for part in parts if part is not None)


def drop_empty(*sections: Section) -> tuple[Section, ...]:
    """Leave out sections without content."""
    return tuple(section for section in sections if not section.is_empty)
