"""nhle-onnx unlearn."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.groups import GroupedCommand, grouped_option
from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.options import ALLOW_UNJUDGED, CONFIG, JSON, MODEL, options_of, verbosity_options
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.option import make_settings
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.values.verdict import choose_exit_code


@click.command(
    "unlearn",
    cls=GroupedCommand,
    example="nhle-onnx unlearn model.onnx --forget cat --samples data/",
)
@MODEL
@options_of(UnlearnSettings)
@grouped_option(
    "--dry-run", group=Group.OUTPUT, is_flag=True, help="Check and measure only; write nothing."
)
@ALLOW_UNJUDGED
@CONFIG
@verbosity_options
@JSON
@isolated
def unlearn_command(model: Path, **values: Any) -> int:
    """Make MODEL forget a class, and write it with a report.

    NHLE trains the class out of the features, CWM masks it in the head, and ONNX Runtime verifies
    the edited file. MODEL itself is never changed.
    """
    from nhle_onnx.cli.show import ProgressBar
    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.forget import forget_class, rehearse_class
    from nhle_onnx.workflows.observer import Stopwatch

    settings = read_settings(model, values)
    with ProgressBar(quiet=values["quiet"]) as progress:
        watch = Stopwatch(progress)
        if values["dry_run"]:
            planned = rehearse_class(settings, watch)
        else:
            report = forget_class(settings, watch)
    if values["dry_run"]:
        click.echo(render_json(planned), nl=False)
        return 0
    if values["as_json"]:
        click.echo(render_json(report), nl=False)
    else:
        _show(report, settings, values)
    return choose_exit_code(report.verdict, allows_unjudged=values["allow_unjudged"])


def read_settings(model: Path, values: dict[str, Any]) -> UnlearnSettings:
    """Turn the command's parameters into settings."""
    settings: UnlearnSettings = make_settings(
        UnlearnSettings,
        values,
        model=model,
        command=shlex.join(["nhle-onnx", *sys.argv[1:]]),
        wording="flags",
    )
    return settings


def _show(report: Any, settings: Any, values: dict[str, Any]) -> None:
    from nhle_onnx.cli.show import (
        make_checks_table,
        show_gaps,
        show_line,
        show_notes,
        show_table,
        show_verdict,
    )
    from nhle_onnx.release.meaning import explain_verdict

    samples, method = report.samples, report.method
    names = ", ".join(f"{index} {report.labels[index]}" for index in report.forget)
    show_line("model", f"{settings.model} ({report.model.size_bytes:,} bytes)")
    show_line("forget", f"{names} (of {_count_classes(report)} classes)")
    show_line(
        "samples",
        f"{samples.forget} to forget, {samples.anchors} anchors, {samples.eval} for evaluation",
    )
    show_line("method", f"{method['method']}, {method['steps_run']} steps: {method['stop_reason']}")
    show_line("where", f"trained on {report.device}, verified on {report.provider}")
    click.echo()
    show_table(_make_table(report))
    click.echo()
    show_table(make_checks_table(report.checks))
    show_gaps(report.checks)
    if values["verbose"]:
        for stage, seconds in report.elapsed_s.items():
            show_line("elapsed", f"{stage} {seconds:.2f} s")
    show_notes(report.notes, quiet=values["quiet"])
    click.echo()
    show_line("edited", str(settings.edited_path))
    show_line("report", str(settings.report_path))
    for name, path in (
        ("also", settings.ort_path), ("page", settings.page), ("bom", settings.bom)
    ):  # fmt: skip
        if path:
            show_line(name, str(path))
    show_verdict(report.verdict, explain_verdict(report))


def _count_classes(report: Any) -> int:
    """Count the classes of a head, or of a detector."""
    detector = getattr(report.model, "detector", None)
    count: int = detector.num_classes if detector else report.model.head.num_classes
    return count


def _make_table(report: Any) -> Any:
    from nhle_onnx.cli.show import make_accuracy_table, make_precision_table, name_other_columns

    columns = {"before": report.before, "after": report.after}
    if hasattr(report, "delta_map_r"):
        return make_precision_table(
            report.labels, report.forget, {**columns, "unmasked": report.unmasked}
        )
    columns |= name_other_columns(report.other_kernels)
    return make_accuracy_table(report.labels, report.forget, columns)
