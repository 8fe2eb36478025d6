"""nhle-onnx verify."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.groups import GroupedCommand, grouped_option
from nhle_onnx.cli.isolation import isolated
from nhle_onnx.cli.kinds import FilePath
from nhle_onnx.cli.options import ALLOW_UNJUDGED, JSON, options_of, verbosity_options
from nhle_onnx.values.exit_codes import choose_exit_code
from nhle_onnx.values.settings.gates import DeviceLimits
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.option import make_settings
from nhle_onnx.values.settings.verify import VerifySettings

_PATH = FilePath(path_type=Path)


@click.command(
    "verify",
    cls=GroupedCommand,
    example="nhle-onnx verify model.unlearned.onnx --forget cat \\\n"
    "    --baseline model.onnx --data images/",
)
@click.argument("model", type=_PATH, required=False)
@options_of(VerifySettings, requires=False)
@grouped_option(
    "--device-result",
    group=Group.PLACES,
    type=_PATH,
    help="Judge a kit's result from a device, FILE.json, instead of running MODEL here. Then "
    "--data is not needed; MODEL says which model must have run, and --forget names the classes.",
)
@ALLOW_UNJUDGED
@verbosity_options
@JSON
@isolated
@configurable
@click.pass_context
def verify_command(context: click.Context, /, model: Path | None, **values: Any) -> int:
    """Measure what MODEL still knows about forgotten classes.

    Gates judge the accuracy on them and on the other classes.
    """
    if values["device_result"]:
        _forbid(context, "data", "baseline", "providers")
        return _judge_device(model, values)
    _require(context, "model", "forget", "data")
    return _measure(model, values)


def _require(context: click.Context, *names: str) -> None:
    """Require a parameter, as click does for those that are always required."""
    for parameter in context.command.params:
        if parameter.name in names and not context.params[parameter.name]:
            hint = parameter.get_error_hint(context).replace("[", "").replace("]", "")
            raise click.MissingParameter(ctx=context, param=parameter, param_hint=hint)


def _forbid(context: click.Context, *names: str) -> None:
    for parameter in context.command.params:
        if parameter.name in names and _is_given(context, parameter.name):
            flag = parameter.opts[0]
            message = f"{flag} cannot be combined with --device-result, which contains it"
            raise click.UsageError(message, ctx=context)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT


def _measure(model: Any, values: dict[str, Any]) -> int:
    from nhle_onnx.cli.show import ProgressBar
    from nhle_onnx.engines.choose import check_engine
    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.pages import check_verify_page, write_report_page
    from nhle_onnx.workflows.verify import verify_model

    check_engine(values["engine"])
    settings = make_settings(VerifySettings, values, model=model, wording="flags")
    check_verify_page(settings)
    with ProgressBar(quiet=values["quiet"]) as progress:
        report = verify_model(settings, progress)
        write_report_page(settings.page, report, force=settings.force)
    if values["as_json"]:
        click.echo(render_json(report), nl=False)
    else:
        _show(report, settings.page, quiet=values["quiet"])
    return choose_exit_code(report.verdict, allows_unjudged=values["allow_unjudged"])


def _judge_device(model: Path | None, values: dict[str, Any]) -> int:
    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.device_result import DeviceResultSettings, judge_result
    from nhle_onnx.workflows.pages import check_page, write_report_page

    settings = DeviceResultSettings(
        result=values["device_result"],
        model=model,
        forget=values["forget"],
        limits=make_settings(DeviceLimits, values),
        max_elements=values["max_elements"],
    )
    check_page(values["page"], (values["device_result"],), force=values["force"])
    report = judge_result(settings)
    write_report_page(values["page"], report, force=values["force"])
    if values["as_json"]:
        click.echo(render_json(report), nl=False)
    else:
        _show_device(report, quiet=values["quiet"])
    return choose_exit_code(report.verdict, allows_unjudged=values["allow_unjudged"])


def _show(report: Any, page: Path | None, *, quiet: bool) -> None:
    from nhle_onnx.cli.show import (
        make_checks_table,
        show_gaps,
        show_line,
        show_notes,
        show_table,
        show_verdict,
    )
    from nhle_onnx.release.meaning import explain_verdict

    show_line("model", report.model.path)
    if report.baseline:
        show_line("baseline", report.baseline.path)
    show_line("samples", f"{report.samples}")
    show_table(_make_table(report))
    click.echo()
    show_table(make_checks_table(report.checks))
    show_gaps(report.checks)
    show_notes(report.notes, quiet=quiet)
    if page:
        show_line("page", str(page))
    show_verdict(report.verdict, explain_verdict(report))


def _make_table(report: Any) -> Any:
    from nhle_onnx.cli.show import make_accuracy_table, make_precision_table, name_other_columns

    columns = {"before": report.before} if report.before else {}
    if hasattr(report, "delta_map_r"):
        columns |= {"after": report.after}
        columns |= {"unmasked": report.unmasked} if report.unmasked else {}
        return make_precision_table(report.labels, report.forget, columns)
    columns |= {result.provider: result.accuracy for result in report.providers}
    columns |= name_other_columns(report.other_kernels)
    return make_accuracy_table(report.labels, report.forget, columns)


def _show_device(report: Any, *, quiet: bool) -> None:
    from nhle_onnx.cli.show import (
        make_checks_table,
        make_kit_table,
        show_gaps,
        show_line,
        show_notes,
        show_table,
        show_verdict,
    )
    from nhle_onnx.release.meaning import explain_verdict

    runtime, latency = report.runtime, report.latency_ms
    show_line("result", f"{report.result}, of {report.measured_at}")
    show_line("model", f"SHA-256 {report.model.sha256}")
    show_line("kit.json", f"SHA-256 {report.kit_json_sha256}")
    show_line("device", str(report.device.get("name", "unknown")))
    show_line("runtime", f"{runtime.name} {runtime.version}, {', '.join(runtime.providers)}")
    show_line("latency", f"p50 {latency.p50} ms, p90 {latency.p90} ms, p99 {latency.p99} ms")
    show_line("samples", f"{report.samples}")
    columns = {"before": report.before} if report.before else {}
    columns |= {"host": report.host, "device": report.after}
    show_table(make_kit_table(report.labels, report.forget, columns, report.task))
    click.echo()
    show_table(make_checks_table(report.checks))
    show_gaps(report.checks)
    show_notes(report.notes, quiet=quiet)
    show_verdict(report.verdict, explain_verdict(report))
