"""The program: its commands, and the only place that catches errors."""

import atexit
import gc
import os
import sys

import click

from nhle_onnx.cli.commands import Commands
from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.hints import word_all
from nhle_onnx.text import to_line
from nhle_onnx.version import __version__

_USAGE = 2
_INTERRUPTED = 130
_ALLOCATIONS = 100_000  # objects between two garbage collections; imports make hardly any garbage


@click.group(
    commands=Commands(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, every gate passed; 1 a gate failed; 2 usage; 3 input refused; "
    "4 model not supported; 5 provider or device not available; 6 no gate failed, but some could "
    "not be judged; 130 interrupted.",
)
@click.version_option(__version__, prog_name="nhle-onnx")
def cli() -> None:
    """Make a deployed ONNX image classifier forget a class, and prove it."""


def main() -> None:
    """Run, and exit with the documented code. A user's mistake shows no traceback."""
    gc.set_threshold(_ALLOCATIONS)
    program = os.getpid()
    code = run(may_fork=True)
    # A forked child exits this way, without tearing down the interpreter. Also, an interrupt inside
    # exec() of a string (dataclasses, while torch is imported) would make the interpreter die of
    # the signal at its end, although it was caught.
    if os.getpid() != program or code == _INTERRUPTED:
        atexit._run_exitfuncs()  # noqa: SLF001 - no public name
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    gc.freeze()  # otherwise the interpreter collects garbage once more as it ends
    sys.exit(code)


def run(arguments: list[str] | None = None, *, may_fork: bool = False) -> int:
    """Run with the given arguments (by default the process's), and return the exit code.

    Commands are isolated only if this process may fork, which needs it to have a single thread.
    """
    try:
        code = cli.main(arguments, standalone_mode=False, obj={"may_fork": may_fork})
    except NhleOnnxError as error:
        reason, remedy = word_all((error.reason, error.remedy), "flags")
        _show(f"error: {reason}", *([f"remedy: {remedy}"] if remedy else []))
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return _USAGE
    except (KeyboardInterrupt, click.Abort):
        _show("interrupted: nothing is half-written")
        return _INTERRUPTED
    return code if isinstance(code, int) else 0


def _show(*lines: str) -> None:
    for line in lines:
        click.echo(to_line(line), err=True)
