"""What stands on the page of a report, in the order of reading: the verdict first."""

from collections.abc import Mapping, Sequence
from typing import Any

from nhle_onnx.release.page.cleaning import clean
from nhle_onnx.release.page.elements import Page, Picture, Section
from nhle_onnx.release.page.pictures import (
    picture_accuracy,
    picture_attacks,
    picture_curves,
    picture_flows,
    picture_projection,
    picture_scale,
    picture_trajectory,
)
from nhle_onnx.release.page.tables import (
    list_gaps,
    list_preprocess,
    tabulate_accuracy,
    tabulate_checks,
    tabulate_facts,
    tabulate_files,
    tabulate_measures,
)
from nhle_onnx.release.page.verdicts import judge_audit, judge_unlearning, name_forgotten
from nhle_onnx.values.audit import AuditReport, Projection, Role
from nhle_onnx.values.report import Accuracy, TrainingStep, UnlearnReport

Trajectory = Sequence[TrainingStep]


def describe_audit(
    report: AuditReport, projection: Projection | None, trajectory: Trajectory
) -> Page:
    """The page of an audit. The trajectory is from the edited model's `report.json`, or empty."""
    report = clean(report)
    return Page(
        title=f"Has the model forgotten {name_forgotten(report.labels, report.forget)}?",
        tool=_name_tool(report.tool),
        verdict=judge_audit(report),
        sections=_drop_empty(
            Section(
                title="Checks",
                tables=(tabulate_checks(report.checks, report.measures),),
                points=list_gaps(report.checks),
            ),
            _show_answers(report),
            Section(
                title="What an attacker gets out of them",
                pictures=_keep(
                    picture_projection(report, projection) if projection else None,
                    picture_attacks(report.measures),
                    picture_curves(report.curves) if report.curves else None,
                ),
            ),
            Section(
                title="How close to a model that never saw the class",
                pictures=_keep(picture_scale(report.measures)),
            ),
            _show_training(trajectory),
            Section(title="Every measure", tables=(tabulate_measures(report.measures),)),
            Section(
                title="Attacks that could not run",
                sentences=() if report.skipped else ("Every attack ran.",),
                points=tuple(f"{skipped.attack}: {skipped.reason}" for skipped in report.skipped),
            ),
            Section(title="Notes", points=report.notes),
            Section(
                title="Provenance",
                tables=(
                    tabulate_files(
                        {
                            "edited": report.model,
                            "original": report.baseline,
                            "retrained": report.reference,
                        }
                    ),
                    tabulate_facts("What was run", _list_audit(report)),
                ),
            ),
        ),
    )


def describe_unlearning(report: UnlearnReport) -> Page:
    """The page of an edit: what `unlearn` measured."""
    report = clean(report)
    samples, model = report.samples, report.model
    before_and_after: dict[Role, Accuracy] = {"original": report.before, "edited": report.after}
    return Page(
        title=f"Forgetting {name_forgotten(report.labels, report.forget)}",
        tool=_name_tool(report.tool),
        verdict=judge_unlearning(report),
        sections=_drop_empty(
            Section(
                title="Checks",
                tables=(tabulate_checks(report.checks),),
                points=list_gaps(report.checks),
            ),
            Section(
                title="What the models answer",
                pictures=(picture_accuracy(report.labels, report.forget, before_and_after),),
                tables=(tabulate_accuracy(report.labels, report.forget, before_and_after),),
            ),
            _show_training(report.trajectory),
            Section(title="Notes", points=report.notes),
            Section(
                title="Provenance",
                tables=(
                    tabulate_files({"original": model, "edited": report.edited}),
                    tabulate_facts(
                        "What was run",
                        {
                            **_list_run(report),
                            "head": f"{model.head.op}, {model.head.feature_dim} features, "
                            f"{model.head.num_classes} classes, {model.format}",
                            "opset": model.opset,
                            "tensors changed": len(report.changed_tensors),
                            "tensors added": report.added_tensors,
                            "samples to forget": f"{samples.forget} from {samples.source}",
                            "anchors": f"{samples.anchors} from {samples.anchor_source}",
                            "samples to judge by": f"{samples.eval} from {samples.eval_source}",
                            **list_preprocess(report.preprocess),
                            **_list_surroundings(report),
                        },
                    ),
                    tabulate_facts("Method", report.method),
                ),
            ),
        ),
    )


def _show_answers(report: AuditReport) -> Section:
    title = "What the models answer"
    if not report.accuracies:
        return Section(title=title)
    of_classes = (report.labels, report.forget, report.accuracies)
    return Section(
        title=title,
        pictures=_keep(
            picture_accuracy(*of_classes), picture_flows(report) if report.flows else None
        ),
        tables=(tabulate_accuracy(*of_classes),),
    )


def _list_audit(report: AuditReport) -> dict[str, Any]:
    return {
        **_list_run(report),
        "samples of the attacker": report.samples.attack,
        "samples to judge by": report.samples.judge,
        "samples of the training set": report.samples.members,
        "samples from": report.samples.source,
        **list_preprocess(report.preprocess),
        **_list_surroundings(report),
    }


def _list_run(report: AuditReport | UnlearnReport) -> dict[str, Any]:
    """What was run, and where."""
    return {
        "command": report.command,
        "seed": report.seed,
        "provider": report.provider,
        "sums of 8-bit products": report.kernels,
        "device": report.device,
    }


def _show_training(trajectory: Trajectory) -> Section:
    return Section(
        title="How it was made to forget",
        pictures=(picture_trajectory(trajectory),) if trajectory else (),
    )


def _list_surroundings(report: AuditReport | UnlearnReport) -> dict[str, Any]:
    """Versions, and how long it took."""
    seconds = {f"seconds: {stage}": took for stage, took in report.elapsed_s.items()}
    return {_name_tool(report.tool): report.schema, **report.environment, **seconds}


def _name_tool(tool: Mapping[str, str]) -> str:
    return " ".join(tool.values())


def _keep(*pictures: Picture | None) -> tuple[Picture, ...]:
    return tuple(picture for picture in pictures if picture is not None)


def _drop_empty(*sections: Section) -> tuple[Section, ...]:
    return tuple(section for section in sections if not section.is_empty)
