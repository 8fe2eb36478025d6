"""Signals before the program has begun and after it has ended show no traceback."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sends signals of POSIX")
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
ENTRIES = {
    "module": ["-m", "nhle_onnx"],
    "script": ["-c", "from nhle_onnx.__main__ import start; start()"],
    "hook": ["-c", "from nhle_onnx.__main__ import start_hook; start_hook()"],
}
KILL = "import os, signal\nos.kill(os.getpid(), signal.{name})"
KILL_AT_EXIT = "import atexit, os, signal\natexit.register(os.kill, os.getpid(), signal.{name})"


def listen() -> None:
    """Ignore no signal, which a shell's job in the background does."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def run(folder: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """The exit code and the errors of a program that finds its modules in the folder first.

    Its coverage is not measured: to save it, coverage.py would handle the signals itself.
    """
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=kept | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=listen,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("entry", ENTRIES)
def test_while_the_program_is_imported(tmp_path: Path, entry: str, number: signal.Signals) -> None:
    (tmp_path / "click.py").write_text(KILL.format(name=number.name))
    assert run(tmp_path, [*ENTRIES[entry], "--version"]) == (-number, "")


@pytest.mark.parametrize("number", SIGNALS)
def test_after_the_command_has_ended(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILL_AT_EXIT.format(name=number.name))
    assert run(tmp_path, [*ENTRIES["module"], "--version"]) == (-number, "")


IMPORTS = """
import time
from nhle_onnx.cli import main

@main.cli.command()
def probe():
    import killer
    time.sleep(60)

main.main()
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_during_an_import_they_wait_for_its_end(tmp_path: Path, number: signal.Signals) -> None:
    """An exception inside an extension module's first lines crashes the process."""
    kill = KILL.format(name=number.name)
    (tmp_path / "killer.py").write_text(f"{kill}\nos.mkdir({str(tmp_path / 'imported')!r})")
    code, errors = run(tmp_path, ["-c", IMPORTS, "probe"])
    assert (tmp_path / "imported").exists()
    is_interrupt = number == signal.SIGINT
    assert code == (130 if is_interrupt else -number)
    assert errors.strip() == ("interrupted: nothing is half-written" if is_interrupt else "")


MAKES_A_FILE = """
import os, tempfile, time
from nhle_onnx.cli import main

def open_killed(*arguments, really=os.open):
    descriptor = really(*arguments)
    {kill}
    return descriptor

@main.cli.command()
def probe():
    os.open = open_killed
    tempfile.gettempdir()  # writes and removes a file
    time.sleep(60)

main.main()
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_no_temporary_file_is_left(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    kill = f"os.kill(os.getpid(), {number.value})"
    code, _ = run(tmp_path, ["-c", MAKES_A_FILE.format(kill=kill), "probe"])
    assert code == (130 if number == signal.SIGINT else -number)
    assert not list(tmp_path.iterdir())


LOSES_IT = """
import os
from pydantic import BaseModel, field_serializer
from nhle_onnx.cli import main

class Bundle(BaseModel):
    content: str = "x"

    @field_serializer("content")
    def serialize(self, content):
        os.kill(os.getpid(), {number})
        return content

@main.cli.command()
def probe():
    Bundle().model_dump_json()

main.main()
"""
WHILE_IT_EXPLAINS = """
import os
from nhle_onnx.cli import main
from nhle_onnx.errors import UsageError

main._explain = lambda error: os.kill(os.getpid(), {number})

@main.cli.command()
def probe():
    raise UsageError("wrong", remedy="None.")

main.main()
"""


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("program", [LOSES_IT, WHILE_IT_EXPLAINS], ids=["lost", "explains"])
def test_what_a_library_makes_of_one_is_no_bug(
    tmp_path: Path, program: str, number: signal.Signals
) -> None:
    """Serializers in other languages raise an error of their own, without its cause."""
    code, errors = run(tmp_path, ["-c", program.format(number=number.value), "probe"])
    is_interrupt = number == signal.SIGINT
    assert code == (130 if is_interrupt else -number)
    assert errors.strip() == ("interrupted: nothing is half-written" if is_interrupt else "")
