"""Commands that open untrusted files work in a child process; a crash there is an error here."""

import functools
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from nhle_onnx.cli.groups import grouped_option
from nhle_onnx.cli.kinds import FiniteRange
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.settings.groups import Group

if TYPE_CHECKING:
    from nhle_onnx.cli.supervision import Bounds, Ending

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

MAX_SECONDS = 86_400
_SHARE = 0.75
_UNITS = {"": 1, **{f"{mark}iB": 2 ** (10 * power) for power, mark in enumerate("KMGT", 1)}}
_CRASHES = frozenset(
    number
    for number in signal.Signals
    if number.name in {"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS"}
)
_OUTPUTS = frozenset({"out", "page", "bom"})
_DISTRUST = "Do not use files that you have no reason to trust; get them again from their source."


class Size(click.ParamType[int]):
    """Bytes: a number, or one with KiB, MiB, GiB or TiB."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Parse `2GiB`."""
        text = str(value).strip()
        digits = text.rstrip("KMGTiB ")
        try:
            size = int(float(digits) * _UNITS[text[len(digits) :].strip()])
        except (ValueError, KeyError, OverflowError):
            size = 0
        if size <= 0:
            self.fail(f"{value!r} is not a size such as 500MiB or 2GiB", param, ctx)
        return size


_OPTIONS = (
    grouped_option(
        "--max-memory",
        type=Size(),
        group=Group.SAFETY,
        otherwise="3/4 of the machine's",
        help="Memory limit, such as 2GiB.",
    ),
    grouped_option(
        "--max-seconds",
        group=Group.SAFETY,
        otherwise=f"{MAX_SECONDS}, a day",
        type=FiniteRange(0, min_open=True),
        help="Time limit.",
    ),
    grouped_option(
        "--no-isolation",
        group=Group.SAFETY,
        is_flag=True,
        help="Work in this process without these limits, not in a child process. Outside Linux "
        "this is always so.",
    ),
)


def isolated(function: Decorated) -> Decorated:
    """Give a command the isolation options, and do its work in a child process within limits. This
    happens only if the program itself runs the command, which the context's object says: threads do
    not survive a fork. Raises InputRefusedError where the child crashed or exceeded a limit.
    """

    @functools.wraps(function)
    def guarded(*arguments: Any, **values: Any) -> Any:
        max_bytes, max_seconds, is_off = (
            values.pop(name) for name in ("max_memory", "max_seconds", "no_isolation")
        )
        context = click.get_current_context()
        if sys.platform != "linux" or is_off:
            if max_bytes or max_seconds:
                message = "--max-memory and --max-seconds need isolation, which is off"
                raise click.UsageError(message, ctx=context)
        elif (context.obj or {}).get("may_fork"):
            code = _run_in_child(context, max_bytes, max_seconds or MAX_SECONDS)
            if code is not None:
                return code
        return function(*arguments, **values)

    for option in reversed(_OPTIONS):
        guarded = option(guarded)
    return cast("Decorated", guarded)


def _run_in_child(context: click.Context, max_bytes: int | None, max_seconds: float) -> int | None:
    """Fork; return None in the child, and the child's exit code in the parent once it has ended."""
    from nhle_onnx.cli import supervision  # Linux only

    bounds = supervision.Bounds(
        max_bytes=max_bytes or int(_SHARE * supervision.measure_machine_bytes()),
        max_seconds=max_seconds,
    )
    ending = supervision.fork_watched(bounds)
    if ending is None or ending.code >= 0:
        return ending.code if ending else None
    files = ", ".join(map(str, _list_files(context))) or "its files"
    error = _explain(ending, bounds, files)
    if error:
        raise error
    supervision.die_of(-ending.code)
    return 128 - ending.code


def _explain(ending: "Ending", bounds: "Bounds", files: str) -> InputRefusedError | None:
    """Explain the signal that ended a child; None if a user sent it."""
    number, trust = -ending.code, "if you trust the files."
    if ending.excess == "memory":
        message = f"working on {files} took more than {bounds.max_bytes / 2**30:.3g} GiB of memory"
        return InputRefusedError(message, remedy=f"Give --max-memory more, {trust}")
    if ending.excess == "seconds":
        message = f"working on {files} took longer than {bounds.max_seconds:g} seconds"
        return InputRefusedError(message, remedy=f"Give --max-seconds more, {trust}")
    if number in _CRASHES:
        message = f"working on {files} crashed the process that did it: {signal.strsignal(number)}"
        return InputRefusedError(message, remedy=_DISTRUST)
    if number == signal.SIGKILL:
        message = (
            f"the process that worked on {files} was killed, most likely because memory ran out"
        )
        return InputRefusedError(message, remedy="Free some memory, and set a --max-memory.")
    return None


def _list_files(context: click.Context) -> Iterator[Path]:
    """Name the command's input files that exist."""
    for name, value in context.params.items():
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path) and name not in _OUTPUTS and path.exists():
                yield path
