"""The page of an edit."""

from typing import TYPE_CHECKING, Any

from nhle_onnx.release.page.cleaning import clean
from nhle_onnx.release.page.content.sections import (
    describe_answers,
    describe_checks,
    describe_forgotten,
    describe_training,
    drop_empty,
    list_run,
    list_surroundings,
    name_tool,
)
from nhle_onnx.release.page.elements import Page, Section
from nhle_onnx.release.page.tables import (
    list_preprocess,
    tabulate_facts,
    tabulate_files,
)
from nhle_onnx.release.page.verdicts import judge_unlearning
from nhle_onnx.text import name_forgotten
from nhle_onnx.values.report import Accuracy, UnlearnReport

if TYPE_CHECKING:
    from nhle_onnx.values.outcomes import Role


def describe_unlearning(report: UnlearnReport) -> Page:
    """Return the page of an edit: what `unlearn` measured."""
    report = clean(report)
    named = (report.labels, report.forget)
    before_and_after: dict[Role, Accuracy] = {"original": report.before, "edited": report.after}
    return Page(
        title=f"Forgetting {name_forgotten(*named)}",
        tool=name_tool(report.tool),
        verdict=judge_unlearning(report),
        sections=drop_empty(
            describe_checks(report.checks),
            describe_forgotten(*named, report.outcomes),
            describe_answers(*named, before_and_after, report.samples.eval, report.outcomes),
            describe_training(report.trajectory),
            Section(title="Notes", points=report.notes),
            Section(
                title="Provenance",
                tables=(
                    tabulate_files({"original": report.model, "edited": report.edited}),
                    tabulate_facts("What was run", _list_edit(report)),
                    tabulate_facts("Method", report.method),
                ),
            ),
        ),
    )


def _list_edit(report: UnlearnReport) -> dict[str, Any]:
    samples, model = report.samples, report.model
    return {
        **list_run(report),
        "head": f"{model.head.op}, {model.head.feature_dim} features, "
        f"{model.head.num_classes} classes, {model.format}",
        "opset": model.opset,
        "tensors changed": len(report.changed_tensors),
        "tensors added": report.added_tensors,
        "samples to forget": f"{samples.forget} from {samples.source}",
        "anchors": f"{samples.anchors} from {samples.anchor_source}",
        "samples to judge by": f"{samples.eval} from {samples.eval_source}",
        **list_preprocess(report.preprocess),
        **list_surroundings(report),
    }
