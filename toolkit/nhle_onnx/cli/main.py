"""The program: its commands, and the only place that catches errors."""

import atexit
import gc
import io
import os
import signal
import sys

import click

from nhle_onnx.cli.commands import Commands
from nhle_onnx.cli.groups import CommandGroup
from nhle_onnx.cli.log import close_log, log
from nhle_onnx.cli.signals import (
    Terminated,
    find_request,
    leave_signals,
    repeat_signal,
    take_signals,
)
from nhle_onnx.cli.streams import require_written, secure_streams
from nhle_onnx.errors import InputRefusedError, NhleOnnxError
from nhle_onnx.graph.inputs import remember_inputs
from nhle_onnx.hints import word_all
from nhle_onnx.text import to_line, to_printable
from nhle_onnx.version import __version__

_USAGE = 2
_INTERRUPTED = 130
_ALLOCATIONS = 100_000  # objects between two garbage collections; imports make hardly any garbage


@click.group(
    cls=CommandGroup,
    example="nhle-onnx unlearn model.onnx --forget cat --samples data/",
    commands=Commands(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, every gate passed; 1 a gate failed; 2 usage; 3 input refused; "
    "4 model not supported; 5 provider or device not available; 6 no gate failed, but some could "
    "not be judged; 70 a bug; 130 interrupted.",
)
@click.version_option(__version__, prog_name="nhle-onnx")
@click.pass_context
def cli(context: click.Context) -> None:
    """Make a deployed ONNX image classifier forget a class, and prove it."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        context.color = False


def main() -> None:
    """Run, and exit with the documented code. A user's mistake shows no traceback."""
    gc.set_threshold(_ALLOCATIONS)
    secure_streams()
    sys.unraisablehook = repeat_signal
    program = os.getpid()
    code = run(as_program=True)
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


def run(arguments: list[str] | None = None, *, as_program: bool = False) -> int:
    """Run with the given arguments (by default the process's), and return the exit code.

    A program takes signals; and its commands are isolated, which needs it to have a single thread.
    """
    try:
        if as_program:
            take_signals()
        return _run(arguments, may_fork=as_program)
    except (KeyboardInterrupt, Terminated) as error:
        return _end(error)
    finally:
        close_log()
        if as_program:
            leave_signals()


def _run(arguments: list[str] | None, *, may_fork: bool) -> int:
    """Run a command, and return the exit code. A signal may also come while an error is shown."""
    try:
        with remember_inputs():
            code = cli.main(arguments, standalone_mode=False, obj={"may_fork": may_fork})
        require_written()
    except Exception as error:  # noqa: BLE001 - 1 means a failed gate
        return _end(error)
    return code if isinstance(code, int) else 0


def _end(error: BaseException) -> int:
    """Show why the program ends, and return its exit code."""
    match find_request(error):
        case Terminated(number=number):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)  # as whoever sent it expects
            return _INTERRUPTED
        case KeyboardInterrupt() | click.Abort():
            _show("interrupted: nothing is half-written")
            return _INTERRUPTED
    return _explain(error)


def _explain(error: BaseException) -> int:
    """Show an error, and return its exit code."""
    match error:
        case NhleOnnxError():
            reason, remedy = word_all((error.reason, error.remedy), "flags")
            _show(f"error: {reason}", *([f"remedy: {remedy}"] if remedy else []))
            return error.exit_code
        case click.ClickException():
            shown = io.StringIO()
            error.show(shown)  # names in it may come from a file
            _echo(to_printable(shown.getvalue()))
            return _USAGE
        case OSError():
            places = ", ".join(str(each) for each in (error.filename, error.filename2) if each)
            _show(f"error: {places or 'the output'} cannot be used: {error.strerror or error}")
        case RuntimeError() if "Symlink loop" in str(error):  # of Path.resolve, before Python 3.13
            _show(f"error: {error}", "remedy: Give the path of a file.")
        case MemoryError():
            _show("error: there is not enough memory", "remedy: Free some, or give smaller files.")
        case _:
            _show_bug()
            return NhleOnnxError.exit_code
    return InputRefusedError.exit_code


def _show_bug() -> None:
    """Show the traceback of a bug."""
    import traceback  # seldom needed

    _echo(to_printable(traceback.format_exc()))
    _show("error: this is a bug; please report it with these lines")


def _show(*lines: str) -> None:
    for line in lines:
        _echo(f"{to_line(line)}\n")


def _echo(text: str) -> None:
    log(text, level="ERROR")
    click.echo(text, err=True, nl=False)
