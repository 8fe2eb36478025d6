"""nhle-onnx doctor."""

import os
from pathlib import Path
from typing import Any, get_args

import click

from nhle_onnx.cli.config import configurable
from nhle_onnx.cli.groups import GroupedCommand, grouped_option
from nhle_onnx.cli.kinds import Choice
from nhle_onnx.cli.options import JSON, QUIET
from nhle_onnx.values.places import DEVICE_METAVAR, ORT_PROVIDERS, Device
from nhle_onnx.values.settings.groups import Group

_COMPLETION = {
    "bash": 'eval "$(_NHLE_ONNX_COMPLETE=bash_source nhle-onnx)" in ~/.bashrc',
    "zsh": 'eval "$(_NHLE_ONNX_COMPLETE=zsh_source nhle-onnx)" in ~/.zshrc',
    "fish": "_NHLE_ONNX_COMPLETE=fish_source nhle-onnx | source, in ~/.config/fish/config.fish",
}


@click.command("doctor", cls=GroupedCommand, example="nhle-onnx doctor")
@grouped_option(
    "--provider",
    group=Group.PLACES,
    type=Choice(["auto", "cpu", "cuda"], ORT_PROVIDERS),
    default="auto",
    show_default=True,
    help="Fail unless ONNX Runtime works there.",
)
@grouped_option(
    "--device",
    group=Group.PLACES,
    type=Choice(get_args(Device), {}),
    metavar=DEVICE_METAVAR,
    default="auto",
    show_default=True,
    help="Fail unless torch can train there.",
)
@QUIET
@JSON
@configurable
def doctor_command(provider: Any, device: Any, *, quiet: bool, as_json: bool) -> int:
    """Show which providers and devices work on this machine.

    Each is tried, not only looked up.
    """
    from nhle_onnx.cli.show import ProgressBar
    from nhle_onnx.errors import DeviceUnavailableError
    from nhle_onnx.release.report import render_json
    from nhle_onnx.workflows.doctor import examine_machine

    with ProgressBar(quiet=quiet) as progress:
        report = examine_machine(provider, device, progress)
    if as_json:
        click.echo(render_json(report), nl=False)
    else:
        _show(report, quiet=quiet)
    return 0 if report.passed else DeviceUnavailableError.exit_code


def _show(report: Any, *, quiet: bool) -> None:
    from nhle_onnx.cli.show import show_line, show_notes, show_verdict

    show_line("tool", f"nhle-onnx {report.tool['version']}")
    for package, version in report.environment.items():
        show_line("version", f"{package} {version}")
    show_line("driver", "NVIDIA" if report.has_nvidia_driver else "no NVIDIA driver")
    for kind, trials in (("provider", report.providers), ("device", report.devices)):
        for trial in trials:
            unused = "" if trial.is_used else " (not used by this tool)"
            show_line(kind, f"{trial.name}{unused}: {trial.fault or 'works'}")
    sums = (
        "saturate in ONNX Runtime's default kernels here, but not on devices with VNNI or ARM dot "
        "products; --kernels exact, the default, gives their results"
        if report.saturates
        else "exact"
    )
    show_line("kernels", f"sums of uint8 × int8: {sums}")
    for extra, is_installed in report.extras.items():
        hint = "installed" if is_installed else f"no; in a clone: pip install '.[{extra}]'"
        show_line("extra", f"{extra}: {hint}")
    shell = Path(os.environ.get("SHELL", "")).name
    if shell in _COMPLETION:
        show_line("complete", f"flags by the Tab key: {_COMPLETION[shell]}")
    show_notes(report.notes, quiet=quiet)
    show_verdict("passed" if report.passed else "failed")
