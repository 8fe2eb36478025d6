"""nhle-onnx unlearn."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.groups import GroupedCommand, grouped_option
from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.options import ALLOW_UNJUDGED, JSON, MODEL, options_of, verbosity_options
from nhle_onnx.text import to_line
from nhle_onnx.values.exit_codes import choose_exit_code
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.option import make_settings
from nhle_onnx.values.settings.push import TARGET, PushSettings
from nhle_onnx.values.settings.unlearn import UnlearnSettings


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
@grouped_option(
    "--push",
    group=Group.OUTPUT,
    multiple=True,
    metavar=TARGET,
    help="Push the edited model there if every gate passed; repeat for several. Only this uses the "
    "network.",
)
@ALLOW_UNJUDGED
@verbosity_options
@JSON
@isolated
@configurable
def unlearn_command(model: Path, **values: Any) -> int:
    """Make MODEL forget a class, and write it with a report.

    NHLE trains the class out of the features, CWM masks it in the head, and ONNX Runtime verifies
    the edited file. MODEL itself is never changed.
    """
    from nhle_onnx.cli.show import ProgressBar
    from nhle_onnx.release.push.choose import parse_target
    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.forget import forget_class, rehearse_class
    from nhle_onnx.workflows.observer import Stopwatch

    settings = read_settings(model, values)
    targets = tuple(map(str, map(parse_target, values["push"])))
    with ProgressBar(quiet=values["quiet"]) as progress:
        watch = Stopwatch(progress)
        if values["dry_run"]:
            planned = rehearse_class(settings, watch)
        else:
            report = forget_class(settings, watch)
    if values["dry_run"]:
        is_shown = "head" in dir(planned["model"]) and not values["as_json"]
        _show_plan(planned) if is_shown else click.echo(render_json(planned), nl=False)
        return 0
    if values["as_json"]:
        click.echo(render_json(report), nl=False)
    else:
        _show(report, settings, values)
    code = choose_exit_code(report.verdict, allows_unjudged=values["allow_unjudged"])
    if targets:
        _push(settings, targets, code)
    return code


def _push(settings: UnlearnSettings, targets: tuple[str, ...], code: int) -> None:
    """Push what passed; say where it went on stderr, as stdout may hold a document."""
    from nhle_onnx.workflows.observer import Silence
    from nhle_onnx.workflows.push import push_model

    if code:
        click.echo("note: not pushed, as not every gate passed", err=True)
        return
    wanted = PushSettings(model=settings.edited_path, targets=targets)
    for each in push_model(wanted, Silence()).pushed:
        click.echo(f"pushed: {to_line(each.target)}: {to_line(each.place)}", err=True)


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


def _show_plan(plan: dict[str, Any]) -> None:
    from nhle_onnx.cli.show import show_line, show_notes
    from nhle_onnx.text import format_number, name_forgotten

    samples, before = plan["samples"], plan["before"]
    names = name_forgotten(plan["labels"], plan["forget"])
    show_line("model", f"{plan['model'].path} ({plan['model'].size_bytes:,} bytes)")
    show_line("forget", f"{names} (of {plan['model'].head.num_classes} classes)")
    show_line(
        "samples",
        f"{samples.forget} to forget, {samples.anchors} anchors, {samples.eval} for evaluation",
    )
    show_line("method", f"{plan['method'].method}, on {len(plan['tensors'])} tensors")
    show_line("where", f"verified on {plan['provider']}")
    show_line(
        "accuracy",
        f"now {format_number(before.acc_f)} on the classes to forget, "
        f"{format_number(before.acc_r)} on the others",
    )
    for path in plan["would_write"]:
        show_line("writes", path)
    show_notes(plan["notes"], quiet=False)
    click.echo("Nothing was written: this was a dry run.")


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
