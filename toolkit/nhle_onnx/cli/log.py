"""--log-file: what the program says, with the time, in a file that grows from run to run."""

import shlex
import sys
import time
from pathlib import Path
from typing import BinaryIO, Final, Literal

import click

from nhle_onnx.cli.groups import grouped_option
from nhle_onnx.cli.kinds import FilePath
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.text import to_line
from nhle_onnx.values.settings.groups import Group

Level = Literal["INFO", "NOTE", "ERROR"]
_HEAD = b"# nhle-onnx log\n"
_OPEN: Final[list[BinaryIO]] = []  # the log of this run, if there is one


def log(text: str, level: Level = "INFO") -> None:
    """Add lines to the log, if there is one. A full disk ends the log, and changes no verdict."""
    now = time.strftime("%Y-%m-%d %H:%M:%S%z")
    lines = "".join(f"{now} {level} {to_line(line)}\n" for line in text.splitlines())
    for stream in _OPEN[:1]:
        try:
            stream.write(lines.encode(errors="backslashreplace"))
        except OSError as error:
            close_log()
            click.echo(f"note: {stream.name}: {error.strerror}: the log is incomplete", err=True)


def close_log() -> None:
    """End the log."""
    while _OPEN:
        _OPEN.pop().close()


def _open(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        _begin(path)
        _OPEN.append(path.open("ab", buffering=0))  # several processes may add lines
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise InputRefusedError(message, remedy="Give the log another path.") from error
    log(shlex.join(["nhle-onnx", *sys.argv[1:]]))


def _begin(path: Path) -> None:
    """Start a log, or refuse a file that is not one."""
    from nhle_onnx.graph.regular_files import open_regular

    try:
        with path.open("xb") as stream:
            stream.write(_HEAD)
    except FileExistsError:
        with open_regular(path) as stream:
            is_log = stream.read(len(_HEAD)) == _HEAD
        if not is_log:
            message = f"{path} exists, and is not a log of this program"
            raise InputRefusedError(message, remedy="Give the log another path.") from None


LOG_FILE = grouped_option(
    "--log-file",
    group=Group.GENERAL,
    type=FilePath(path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_open,
    help="Add progress, notes, verdict and errors to a file, with the time.",
)
