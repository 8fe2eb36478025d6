"""nhle-onnx inspect."""

from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.groups import GroupedCommand
from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.options import JSON, MODEL, options_of, verbosity_options
from nhle_onnx.values.settings.inspect import InspectSettings
from nhle_onnx.values.settings.option import make_settings

_SHOWN = 24  # labels


@click.command("inspect", cls=GroupedCommand, example="nhle-onnx inspect model.onnx")
@MODEL
@options_of(InspectSettings)
@verbosity_options
@JSON
@isolated
@configurable
def inspect_command(model: Path, **values: Any) -> None:
    """Describe MODEL, and what `unlearn` can do with it."""
    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.inspect import inspect_model

    report = inspect_model(make_settings(InspectSettings, values, model=model))
    if values["as_json"]:
        click.echo(render_json(report), nl=False)
    else:
        _show(report)


def _show(report: Any) -> None:
    from nhle_onnx.cli.show import show_line
    from nhle_onnx.text import describe_node

    file, head = report.model, report.head
    show_line("model", f"{file.path} ({file.size_bytes:,} bytes)")
    show_line("sha256", file.sha256)
    number_format = f", {report.format}" if report.format else ""
    show_line("format", f"opset {report.opset}, IR {report.ir_version}{number_format}")
    for name, values in (("input", report.inputs), ("output", report.outputs)):
        for key, kind in values.items():
            show_line(name, f"{key} {kind}")
    if head:
        layer = describe_node(head.op, head.node, [head.logits])
        show_line(
            "head",
            f"{layer}: {head.num_classes} classes of {head.feature_dim} features, "
            f"weight {head.weight}, bias {head.bias or 'none (one is added)'}",
        )
    if report.detector:
        show_line("detector", _describe_detector(report.detector))
    show_line("weights", f"{report.trainable_parameters:,} in {report.trainable_tensors} tensors")
    if report.labels:
        shown = report.labels[:_SHOWN]
        more = f", … and {len(report.labels) - _SHOWN:,} more" if report.labels[_SHOWN:] else ""
        show_line("labels", f"{', '.join(shown)}{more}")
    source = report.preprocess.source if report.preprocess else "none found; image files need it"
    show_line("images", f"preprocessing from {source}" if report.preprocess else source)
    methods = [name for name in ("nhle-cwm", "nhle", "cwm") if report.unlearn[name]]
    show_line("unlearn", f"can use {', '.join(methods)}" if methods else "not supported")
    for reason in report.reasons:
        show_line("reason", reason)
    if report.trials:
        _show_trials(report.trials, "mean AP" if report.detector else "accuracy")


def _describe_detector(detector: Any) -> str:
    """Say how many classes, at which scales, and how scores and boxes are read."""
    scales: dict[str, int] = {}
    for layer in detector.layers:
        name = "x".join(map(str, layer.extents))
        scales[name] = scales.get(name, 0) + 1
    shown = ", ".join(
        f"{name} ({count} anchors)" if count > 1 else name for name, count in scales.items()
    )
    kind = "softmax" if detector.competes else "sigmoid"
    with_object = ", times an objectness" if detector.scores.objectness is not None else ""
    inside = ", suppressed in the graph" if detector.suppresses else ""
    return (
        f"{detector.num_classes} classes, scales {shown}; {kind} scores in {detector.scores.name}"
        f"{with_object}; boxes ({detector.boxes.form}) in {detector.boxes.name}{inside}"
    )


def _show_trials(trials: Any, measure: str) -> None:
    from nhle_onnx.cli.show import show_line
    from nhle_onnx.hints import word

    for note in trials.notes:
        show_line("note", note)
    for trial in trials.tried:
        name = word(trial.options, "flags")
        show_line(measure, f"{trial.accuracy:.4f} {name} ({trials.images} images)")
    if proposal := trials.proposal:
        show_line("proposal", f"{word(proposal.options, 'flags')} works better than what was found")
