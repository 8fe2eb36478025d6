"""The model card: what was forgotten, how that was measured, and what may be left."""

import json
from collections.abc import Iterator
from pathlib import PurePath

from nhle_onnx.release.formats.markdown import escape_markdown
from nhle_onnx.release.formats.overview import make_overview
from nhle_onnx.release.meaning import explain_verdict, is_masked_only
from nhle_onnx.text import format_number, name_forgotten
from nhle_onnx.values.report import UnlearnReport

_TAGS = ("onnx", "image-classification", "machine-unlearning")
_MASKED = (
    "**Masking, not erasure**: only the output was edited. The model still holds what it learned "
    "of the class."
)


def render_card(report: UnlearnReport) -> str:
    """Write the card as Markdown, with the metadata that Hugging Face reads."""
    return "\n".join([*_list_metadata(report), *_list_lines(report), ""])


def _list_metadata(report: UnlearnReport) -> Iterator[str]:
    yield "---"
    yield "library_name: onnx"
    yield "pipeline_tag: image-classification"
    yield f"tags: [{', '.join(_TAGS)}]"
    yield "model-index:"
    yield f"- name: {json.dumps(PurePath(report.edited.path).name)}"
    yield "  results:"
    yield "  - task: {type: image-classification}"
    source = json.dumps(report.samples.eval_source or "evaluation")
    yield f"    dataset: {{name: evaluation, type: {source}}}"
    yield "    metrics:"
    for name, value in (("acc_f", report.after.acc_f), ("acc_r", report.after.acc_r)):
        if value is not None:
            yield f"    - {{type: accuracy, name: {name}, value: {value:.6f}}}"
    yield "---\n"


def _list_lines(report: UnlearnReport) -> Iterator[str]:
    head = report.model.head
    yield f"# {escape_markdown(PurePath(report.edited.path).name)}\n"
    yield (
        f"An image classifier in ONNX with {head.num_classes} classes, edited by "
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
    for title, key in (("forgotten classes", "acc_f"), ("other classes", "acc_r")):
        before, after = (getattr(found, key) for found in (report.before, report.after))
        yield f"| accuracy on the {title} | {format_number(before)} | {format_number(after)} |"
    yield f"| with the original head put back | | {format_number(report.unmasked.acc_f)} |\n"
    yield "Every gate with its evidence is in the `.report.json` beside the model.\n"
    yield "## Limits\n"
    yield "- An image of a forgotten class is assigned another class."
    yield "- Anyone with labelled images of a forgotten class can train it into the model again."
    for case in make_overview(report).cases:
        if case.reason:
            yield f"- {escape_markdown(case.name)} {case.verdict}: {escape_markdown(case.reason)}"
    yield from (f"- {escape_markdown(note)}" for note in report.notes)
