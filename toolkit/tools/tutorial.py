"""The tutorial's outputs and pictures, made by its own commands."""

import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import click
from rich.console import Console
from rich.progress import track
from rich.text import Text

PAGE = Path("docs") / "tutorial.md"
COLUMNS = 100
_STEP = re.compile(
    r"```sh\n(?P<command>.*?)```\n"
    r"(?:\n(?:```text\n(?P<shown>.*?)```|!\[[^\]]*\]\((?P<picture>[^)]*\.svg)\)))?",
    re.DOTALL,
)
_WEB_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Step(NamedTuple):
    """A block of commands, and what stands behind it: its output as text, or a picture of it."""

    command: str
    shown: str | None
    picture: str | None


@click.command("tutorial")
def tutorial() -> None:
    """Run the tutorial, and write what its commands print into docs/tutorial.md and its
    pictures.
    """
    text = PAGE.read_text("utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = make_folder(Path.cwd(), Path(name))
        outputs = [
            run_in_terminal(step.command, folder) for step in track(find_steps(text), "tutorial")
        ]
    replaced = iter(outputs)
    for step, output in zip(find_steps(text), outputs, strict=True):
        if step.picture:
            draw_terminal(step.command, output, PAGE.parent / step.picture)
    PAGE.write_text(_STEP.sub(lambda found: _replace(found, next(replaced)), text), "utf-8")


def find_steps(text: str) -> list[Step]:
    """The steps of a page, in order."""
    return [Step(**found.groupdict()) for found in _STEP.finditer(text)]


def make_folder(checkout: Path, folder: Path) -> Path:
    """A folder that looks like a checkout to the commands, and holds what they write."""
    for name in ("models", "calibration_samples"):
        (folder / name).symlink_to(checkout.resolve() / name)
    return folder


def run_in_terminal(command: str, folder: Path) -> str:
    """What a terminal receives from commands, colours included, less progress and notes."""
    terminal, end = pty.openpty()
    scripts = str(Path(sys.executable).parent)
    variables = {
        "COLUMNS": str(COLUMNS), "TERM": "xterm-256color",
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    with subprocess.Popen(
        ["bash", "-e", "-o", "pipefail", "-c", command],  # noqa: S607 - as in the tutorial
        cwd=folder, env=os.environ | variables, stdin=subprocess.DEVNULL, stdout=end,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        os.close(end)
        output = b""
        try:
            while part := os.read(terminal, 4096):
                output += part
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(terminal)
    if process.returncode:
        message = f"exit code {process.returncode}: {command}"
        raise click.ClickException(message)
    return output.decode().replace("\r\n", "\n")


def draw_terminal(command: str, output: str, path: Path) -> None:
    """Write an SVG of a terminal; the same text gives the same bytes, and needs no network."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in command.splitlines():
        console.print(Text(f"$ {line}", style="bold"))
    console.print(Text.from_ansi(output.rstrip()))
    svg = console.export_svg(title="nhle-onnx", unique_id=path.stem)
    path.write_text(_WEB_FONT.sub("", svg).replace("Fira Code, ", ""), "utf-8")


def _replace(found: re.Match[str], output: str) -> str:
    if found["shown"] is None:
        return found[0]
    plain = "\n".join(line.rstrip() for line in Text.from_ansi(output).plain.splitlines())
    start, end = (place - found.start() for place in found.span("shown"))
    return f"{found[0][:start]}{plain}\n{found[0][end:]}"
