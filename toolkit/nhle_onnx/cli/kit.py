"""nhle-onnx kit."""

from pathlib import Path
from typing import Any

import click

from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.options import (
    FORGET,
    JSON,
    MODEL,
    make_model_flags,
    model_options,
    verbosity_options,
)

_PATH = click.Path(path_type=Path)


@click.command("kit")
@MODEL
@FORGET
@click.option("--data", type=_PATH, required=True, help="Image folder, or .npz with x and y.")
@click.option("-o", "--out", type=_PATH, required=True, help="The kit, KIT.zip.")
@click.option("--baseline", type=_PATH, help="The model before it forgot.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    help="At most so many images.  [default: 200, or as many as 32 MiB hold]",
)
@click.option("--max-acc-f", type=click.FloatRange(0, 1), default=0.01, show_default=True)
@click.option("--max-acc-r-drop", type=click.FloatRange(-1, 1), default=0.035, show_default=True)
@click.option("--force", is_flag=True, help="Replace a kit that exists.")
@model_options
@verbosity_options
@JSON
@isolated
def kit_command(model: Path, **values: Any) -> int:
    """Pack MODEL with images, and with what runs and judges them on a device: in Python, in a
    browser, in Node. `verify --device-result` judges what comes back.
    """
    from nhle_onnx.cli.show import ProgressBar
    from nhle_onnx.release.report import render_json
    from nhle_onnx.values.kit import DeviceLimits
    from nhle_onnx.workflows.kit import KitSettings, make_kit

    settings = KitSettings(
        model=model,
        flags=make_model_flags(values),
        limits=DeviceLimits(max_acc_f=values["max_acc_f"], max_acc_r_drop=values["max_acc_r_drop"]),
        **{name: values[name] for name in _PLAIN},
    )
    with ProgressBar(quiet=values["quiet"]) as progress:
        report = make_kit(settings, progress)
    if values["as_json"]:
        click.echo(render_json(report), nl=False)
    else:
        _show(report, quiet=values["quiet"])
    return 0 if report.passed else 1


_PLAIN = ("forget", "data", "out", "baseline", "limit", "force")


def _show(report: Any, *, quiet: bool) -> None:
    from nhle_onnx.cli.show import (
        make_accuracy_table,
        make_checks_table,
        show_line,
        show_notes,
        show_table,
        show_verdict,
    )

    show_line("model", f"{report.model.path} ({report.model.size_bytes:,} bytes)")
    if report.baseline:
        show_line("baseline", report.baseline.path)
    names = ", ".join(f"{index} {report.labels[index]}" for index in report.forget)
    show_line("forget", f"{names} (of {len(report.labels)} classes)")
    samples = report.samples
    show_line(
        "samples",
        f"{samples.kit} of {samples.available}, {samples.forgotten} of them to be forgotten",
    )
    click.echo()
    columns = {"before": report.before} if report.before else {}
    columns |= {report.provider: report.after}
    show_table(make_accuracy_table(report.labels, report.forget, columns))
    click.echo()
    show_table(make_checks_table(report.checks))
    show_notes(report.notes, quiet=quiet)
    click.echo()
    show_line("kit", f"{report.kit.path} ({report.kit.size_bytes:,} bytes)")
    show_line("kit.json", f"SHA-256 {report.kit_json_sha256}")
    show_verdict(passed=report.passed)
