"""The model card: what was forgotten, how that was measured, and what may be left."""

import json
from collections.abc import Iterator
from pathlib import PurePath

from nhle_onnx.release.formats.markdown import escape_markdown
from nhle_onnx.release.formats.overview import make_overview
from nhle_onnx.release.meaning import explain_verdict, is_masked_only
from nhle_onnx.text import format_number, name_forgotten
from nhle_onnx.values.detection import EditReport
from nhle_onnx.values.task import list_figures

_MASKED = (
    "**Masking, not erasure**: only the output was edited. The model still holds what it learned "
    "of the class."
)


def render_card(report: EditReport) -> str:
    """Write the card as Markdown, with the metadata that Hugging Face reads."""
    return "\n".join([*_list_metadata(report), *_list_lines(report), ""])


def _list_metadata(report: EditReport) -> Iterator[str]:
    task = report.after.task
    yield "---"
    yield "library_name: onnx"
    yield f"pipeline_tag: {task.tag}"
    yield f"tags: [onnx, {task.tag}, machine-unlearning]"
    yield "model-index:"
    yield f"- name: {json.dumps(PurePath(report.edited.path).name)}"
    yield "  results:"
    yield f"  - task: {{type: {task.tag}}}"
    source = json.dumps(report.samples.eval_source or "evaluation")
    yield f"    dataset: {{name: evaluation, type: {source}}}"
    yield "    metrics:"
    kind = task.metric.replace(" ", "_")
    for figure in list_figures(report):
        if figure.after is not None:
            yield f"    - {{type: {kind}, name: {figure.term.key}, value: {figure.after:.6f}}}"
    yield "---\n"


def _list_lines(report: EditReport) -> Iterator[str]:
    task, figures = report.after.task, list_figures(report)
    yield f"# {escape_markdown(PurePath(report.edited.path).name)}\n"
    yield (
        f"{task.model} in ONNX with {len(report.labels)} classes, edited by "
        f"{' '.join(report.tool.values())}.\n"
    )
    yield "## Forgetting\n"
    names = name_forgotten(report.labels, report.forget)
    yield f"- Made to forget: {escape_markdown(names)}"
    yield f"- Verdict: **{report.verdict}**: {escape_markdown(explain_verdict(report))}"
    if is_masked_only(report):
        yield f"- {_MASKED}"
    yield f"- Method: {escape_markdown(str(report.method.get('method')))}, seed {report.seed}"
    yield f"- Made from a model with SHA-256 `{report.model.sha256}`"
    yield f"- This model has SHA-256 `{report.edited.sha256}`\n"
    yield "| | before | after |\n|---|---|---|"
    for figure in figures:
        before, after = format_number(figure.before), format_number(figure.after)
        yield f"| {task.metric} on the {figure.term.classes} | {before} | {after} |"
    unmasked = format_number(figures[0].unmasked)
    yield f"| with the original {task.layer} put back | | {unmasked} |\n"
    yield "Every gate with its evidence is in the `.report.json` beside the model.\n"
    yield "## Limits\n"
    yield f"- {task.limit.format(names='a forgotten class')}"
    yield "- Anyone with labelled images of a forgotten class can train it into the model again."
    for case in make_overview(report).cases:
        if case.reason:
            yield f"- {escape_markdown(case.name)} {case.verdict}: {escape_markdown(case.reason)}"
    yield from (f"- {escape_markdown(note)}" for note in report.notes)
