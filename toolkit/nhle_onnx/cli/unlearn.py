"""nhle-onnx unlearn."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.options import (
    FORGET,
    JSON,
    KERNELS,
    MODEL,
    make_model_flags,
    model_options,
    verbosity_options,
)

_PATH = click.Path(path_type=Path)


class AutoOr(click.ParamType[float | None]):
    """`auto`, which becomes None, or a positive number."""

    def __init__(self, kind: type[int] | type[float]) -> None:
        self.kind = kind
        self.name = f"auto|{kind.__name__}"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """Parse it."""
        if value == "auto":
            return None
        try:
            number = self.kind(str(value))
        except ValueError:
            self.fail(f"{value!r} is neither 'auto' nor a number", param, ctx)
        if not 0 < number < float("inf"):
            self.fail(f"{value!r} is not positive", param, ctx)
        return number


@click.command("unlearn")
@MODEL
@FORGET
@click.option("--samples", type=_PATH, help="Image folder, or .npz with x and y.  [default: found]")
@click.option("--samples-per-class", type=click.IntRange(1), default=16, show_default=True)
@click.option("--eval-data", type=_PATH, help="Samples to judge by.  [default: those not tuned on]")
@click.option(
    "--method",
    type=click.Choice(["nhle-cwm", "nhle", "cwm"]),
    default="nhle-cwm",
    show_default=True,
)
@click.option(
    "--loss",
    type=click.Choice(["saturating", "paper-gradient", "paper-cross-entropy"]),
    default="saturating",
    show_default=True,
)
@click.option(
    "--anchors",
    default="auto",
    show_default=True,
    metavar="auto|off|DIR",
    help="What holds the retained classes in place: samples of them, or a folder of any images.",
)
@click.option(
    "--scope",
    type=click.Choice(["all", "features", "last-stage", "head"]),
    default="features",
    show_default=True,
    help="Which weights NHLE may change.",
)
@click.option(
    "--mask",
    type=click.Choice(["floor", "zero", "importance"]),
    default="floor",
    show_default=True,
    help="What CWM does to the class's row in the head.",
)
@click.option(
    "--rescale",
    is_flag=True,
    help="Widen the range of a quantized output or bias where a masked class could else win.",
)
@click.option("--lr", type=AutoOr(float), default="auto", show_default=True)
@click.option("--steps", type=AutoOr(int), default="auto", show_default=True)
@click.option("--max-acc-f", type=click.FloatRange(0, 1), default=0.01, show_default=True)
@click.option("--max-acc-r-drop", type=click.FloatRange(-1, 1), default=0.035, show_default=True)
@click.option(
    "--provider",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where ONNX Runtime runs.",
)
@KERNELS
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where torch trains.",
)
@click.option("--batch-size", type=click.IntRange(1), default=256, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=_PATH, help="The edited model.  [default: MODEL-stem.unlearned.onnx]")
@click.option("--report", "page", type=_PATH, help="The report as a page for people, FILE.html.")
@click.option("--bom", type=_PATH, help="A CycloneDX bill of materials of the edited model.")
@click.option(
    "--also",
    type=click.Choice(["ort"]),
    multiple=True,
    help="Another format to write the edited model in, compared with the .onnx file.",
)
@click.option("--force", is_flag=True, help="Replace outputs that exist.")
@click.option("--dry-run", is_flag=True, help="Check everything, measure, and change nothing.")
@model_options
@verbosity_options
@JSON
@isolated
def unlearn_command(model: Path, **values: Any) -> int:
    """Make MODEL forget a class: train it out of the features (NHLE), mask it in the head (CWM),
    verify the edited file in ONNX Runtime, and write it with a report.
    """
    from nhle_onnx.cli.show import ProgressBar
    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.observer import Stopwatch
    from nhle_onnx.workflows.plan import plan_unlearning
    from nhle_onnx.workflows.unlearn import carry_out, describe_plan

    settings = make_settings(model, values)
    with ProgressBar(quiet=values["quiet"]) as progress:
        watch = Stopwatch(progress)
        plan = plan_unlearning(settings, watch)
        report = None if values["dry_run"] else carry_out(plan, watch)
    if report is None:
        click.echo(render_json(describe_plan(plan)), nl=False)
        return 0
    if values["as_json"]:
        click.echo(render_json(report), nl=False)
    else:
        _show(report, settings, values)
    return 0 if report.passed else 1


def make_settings(model: Path, values: dict[str, Any]) -> Any:
    """The command's parameters as an `UnlearnSettings`."""
    from nhle_onnx.values.options import UnlearnOptions
    from nhle_onnx.values.report import Limits
    from nhle_onnx.workflows.unlearn_settings import UnlearnSettings

    option_names = UnlearnOptions.__dataclass_fields__
    plain = (
        "forget", "samples", "eval_data", "anchors", "provider", "kernels", "device", "out", "page",
        "bom", "also", "force",
    )  # fmt: skip
    return UnlearnSettings(
        model=model,
        flags=make_model_flags(values),
        options=UnlearnOptions(**{name: values[name] for name in option_names}),
        limits=Limits(max_acc_f=values["max_acc_f"], max_acc_r_drop=values["max_acc_r_drop"]),
        command=shlex.join(["nhle-onnx", *sys.argv[1:]]),
        **{name: values[name] for name in plain},
    )


def _show(report: Any, settings: Any, values: dict[str, Any]) -> None:
    from nhle_onnx.cli.show import (
        make_accuracy_table,
        make_checks_table,
        name_other_columns,
        show_line,
        show_notes,
        show_table,
        show_verdict,
    )

    head, samples, method = report.model.head, report.samples, report.method
    names = ", ".join(f"{index} {report.labels[index]}" for index in report.forget)
    show_line("model", f"{settings.model} ({report.model.size_bytes:,} bytes)")
    show_line("forget", f"{names} (of {head.num_classes} classes)")
    show_line(
        "samples",
        f"{samples.forget} to forget, {samples.anchors} anchors, {samples.eval} to judge by",
    )
    show_line("method", f"{method['method']}, {method['steps_run']} steps: {method['stop_reason']}")
    show_line("where", f"trained on {report.device}, verified on {report.provider}")
    click.echo()
    columns = {"before": report.before, "after": report.after}
    columns |= name_other_columns(report.other_kernels)
    show_table(make_accuracy_table(report.labels, report.forget, columns))
    click.echo()
    show_table(make_checks_table(report.checks))
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
    show_verdict(passed=report.passed)
