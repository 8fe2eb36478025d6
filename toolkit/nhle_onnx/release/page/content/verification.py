"""The page of what `verify` measured."""

from typing import TYPE_CHECKING

from nhle_onnx.release.page.cleaning import clean
from nhle_onnx.release.page.content.sections import (
    describe_answers,
    describe_checks,
    describe_forgotten,
    drop_empty,
    list_judged,
    name_tool,
)
from nhle_onnx.release.page.elements import Page, Section
from nhle_onnx.release.page.tables import (
    tabulate_facts,
    tabulate_files,
)
from nhle_onnx.release.page.verdicts import judge_verification
from nhle_onnx.text import name_forgotten
from nhle_onnx.values.report import Accuracy, VerifyReport

if TYPE_CHECKING:
    from nhle_onnx.values.outcomes import Role


def describe_verification(report: VerifyReport) -> Page:
    """The page of what `verify` measured."""
    report = clean(report)
    named = (report.labels, report.forget)
    accuracies: dict[Role, Accuracy] = {"original": report.before} if report.before else {}
    accuracies["edited"] = report.after
    return Page(
        title=f"What the model still knows of {name_forgotten(*named)}",
        tool=name_tool(report.tool),
        verdict=judge_verification(report),
        sections=drop_empty(
            describe_checks(report.checks),
            describe_forgotten(*named, report.outcomes),
            describe_answers(*named, accuracies, report.samples, report.outcomes),
            Section(title="Notes", points=report.notes),
            Section(
                title="Provenance",
                tables=(
                    tabulate_files({"model": report.model, "baseline": report.baseline}),
                    tabulate_facts(
                        "What was run",
                        {
                            "providers": [each.provider for each in report.providers],
                            **list_judged(report),
                        },
                    ),
                ),
            ),
        ),
    )
