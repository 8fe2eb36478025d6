"""Odd paths, streams, limits and signals: a code that means what it says, and nothing left over."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nhle_onnx.data.labels import find_labels
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.inputs import remember_inputs
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.save import write_files
from nhle_onnx.graph.scratch import open_scratch
from support.processes import wait_until
from support.runs import Nhle
from support.shipped import EVALUATION, LENET

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="paths and signals of Linux")

_DATA = ("--forget", "3", "--data", str(EVALUATION))
_COMMANDS: dict[str, tuple[str, ...]] = {
    "inspect": ("inspect", "PATH"),
    "unlearn": ("unlearn", "PATH", "--forget", "3"),
    "samples": ("unlearn", str(LENET), "--forget", "3", "--samples", "PATH"),
    "anchors": ("unlearn", str(LENET), "--forget", "3", "--anchors", "PATH"),
    "labels": ("verify", str(LENET), *_DATA, "--labels", "PATH"),
    "preprocess": ("verify", str(LENET), *_DATA, "--preprocess", "PATH"),
    "config": ("inspect", str(LENET), "--config", "PATH"),
    "out": ("unlearn", str(LENET), "--forget", "3", "--method", "cwm", "--out", "PATH/e.onnx"),
    "verify": ("verify", "PATH", *_DATA),
    "baseline": ("verify", str(LENET), "--baseline", "PATH", *_DATA),
    "data": ("verify", str(LENET), "--forget", "3", "--data", "PATH"),
    "device result": ("verify", "--device-result", "PATH"),
    "audit": ("audit", "PATH", "--baseline", str(LENET), *_DATA),
    "diff": ("diff", str(LENET), "PATH"),
    "claim": ("diff", str(LENET), str(LENET), "--report", "PATH"),
    "patch create": ("patch", "create", "PATH", str(LENET), "-o", "p"),
    "patch report": ("patch", "create", str(LENET), str(LENET), "-o", "p", "--report", "PATH"),
    "patch apply": ("patch", "apply", str(LENET), "PATH", "-o", "p"),
    "patch inspect": ("patch", "inspect", "PATH"),
    "sign": ("sign", "PATH", "--key", "k.pem"),
    "key": ("sign", str(LENET), "--key", "PATH", "-o", "s"),
    "check": ("check-signature", "PATH", "--key", "k.pem"),
    "signature": ("check-signature", str(LENET), "--key", "k.pem", "--signature", "PATH"),
    "kit": ("kit", "PATH", *_DATA, "-o", "k.zip"),
    "fleet": ("fleet", "PATH"),
}


_KINDS: dict[str, Callable[[Path], object]] = {
    "too long name": lambda path: str(path.with_name("n" * 300)),
    "too long path": lambda _: "/".join(["d" * 200] * 30),
    "loop of links": lambda path: path.symlink_to(path),
    "broken link": lambda path: path.symlink_to("nowhere"),
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "below a file": lambda path: path.write_bytes(b"") or f"{path}/below",
    "device": lambda _: "/dev/zero",
    "empty": lambda _: "",
    "empty file": Path.touch,
    "not UTF-8": lambda path: os.fsdecode(bytes(path.parent) + b"/\xff\xfe"),
}


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("command", _COMMANDS)
def test_an_odd_path_is_refused_with_a_reason(
    nhle: Nhle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    made = _KINDS[kind](tmp_path / "odd")
    path = made if isinstance(made, str) else str(tmp_path / "odd")
    watchdog = threading.Timer(60, os.kill, (os.getpid(), signal.SIGINT))  # where a pipe hangs
    watchdog.start()
    result = nhle(*(part.replace("PATH", path) for part in _COMMANDS[command]))
    watchdog.cancel()
    is_fine = {
        ("out", "folder"),
        ("labels", "empty file"),
        ("out", "empty"),
        ("config", "empty file"),
    }
    assert result.code in ({0, 2, 3, 6} if (command, kind) in is_fine else {2, 3, 4}), result
    assert "Traceback" not in result.err


def _run(*arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "nhle_onnx", *map(str, arguments)]
    return subprocess.run(command, check=False, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("way", ["closed", "full", "unread", "ascii", "ascii json"])
def test_what_stdout_does_is_no_verdict(tmp_path: Path, way: str) -> None:
    command = ["unlearn", LENET, *_DATA[:2], "--method", "cwm", "--out", tmp_path / "e.onnx"]
    if way == "closed":
        shell = f"{sys.executable} -m nhle_onnx {' '.join(map(str, command))} >&-"
        done = subprocess.run(["bash", "-c", shell], check=False, stderr=subprocess.PIPE)
    elif way == "full":
        with Path("/dev/full").open("wb") as full:
            done = _run(*command, stdout=full)
    elif way == "unread":
        reading, writing = os.pipe()
        os.close(reading)
        done = _run(*command, stdout=writing)
        os.close(writing)
    else:
        flags = ["--json"] if way == "ascii json" else []
        ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
        done = _run(*command, *flags, stdout=subprocess.PIPE, env=ascii_only)
        assert done.stdout.isascii()
        assert not flags or json.loads(done.stdout)["verdict"] == "passed"
    assert done.returncode == (3 if way == "full" else 0), done
    assert (tmp_path / "e.report.json").exists()
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ("--max-seconds", "nan"), ("--max-seconds", "inf"), ("--max-memory", "nanGiB"),
        ("--max-acc-f", "nan"), ("--max-acc-r-drop", "nan"), ("--max-uncertainty", "nan"),
        ("--seed", "9" * 20), ("--seed", "-1"), ("--lr", "nan"), ("--lr", "inf"),
        ("--forget", "x" * 5000), ("--forget", "9" * 5000),
    ],
    ids=lambda flags: f"{flags[0]} {flags[1][:8]}",
)  # fmt: skip
def test_limits_and_numbers_that_are_none(nhle: Nhle, flags: tuple[str, str]) -> None:
    result = nhle("unlearn", LENET, "--forget", "3", *flags, "--dry-run")
    assert result.code == 2, result


@pytest.mark.parametrize(
    "keys",
    [(-1, 0), (1, 2), (0, 2), (0, "00"), (0, "+1", 1), ("a", "b")],
    ids=lambda keys: " ".join(map(str, keys)),
)
def test_labels_need_every_index_once(tmp_path: Path, keys: tuple[object, ...]) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"id2label": {str(key): f"name {key}" for key in keys}}))
    with pytest.raises(InputRefusedError):
        find_labels(load_model(LENET), len(keys), path)


def test_a_repeated_key_names_no_class(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"id2label": {"0": "a", "1": "b", "1": "c"}}')
    with pytest.raises(InputRefusedError, match="repeated"):
        find_labels(load_model(LENET), 2, path)


def test_names_of_a_configuration_do_not_reach_the_terminal(nhle: Nhle, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('"\\u001b[2J\\nerror: none" = 1\n')
    shown = nhle("inspect", LENET, "--config", path).err
    assert "\x1b" not in shown
    assert "\nerror" not in shown


@pytest.mark.parametrize(("mode", "expected"), [(0o600, 0o600), (0o640, 0o640), (0o644, 0o644)])
def test_what_is_made_of_a_private_model_is_private(
    lenet_copy: Path, tmp_path: Path, mode: int, expected: int
) -> None:
    lenet_copy.chmod(mode)
    out = tmp_path / "edited"
    before = os.umask(0o022)
    try:
        with remember_inputs():
            load_model(lenet_copy)
            write_files({out: b"edited"}, force=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE(out.stat().st_mode) == expected


_WAIT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from pathlib import Path
from nhle_onnx.cli import main as program
from nhle_onnx.graph.scratch import open_scratch
import click

@program.cli.command("wait")
def wait():
    with open_scratch() as folder:
        (folder / "model.onnx").write_bytes(b"original")
        print("ready", flush=True)
        time.sleep(60)

sys.argv = ["nhle-onnx", "wait"]
program.main()
"""


def _kill(folder: Path, number: signal.Signals) -> int:
    process = subprocess.Popen(
        [sys.executable, "-c", _WAIT],
        stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    process.communicate(timeout=60)
    return process.returncode


@pytest.fixture
def not_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a measurement of coverage, which has a handler of its own, out of the processes."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.mark.usefixtures("not_covered")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_leaves_nothing_for_others(tmp_path: Path, name: str) -> None:
    number = signal.Signals[name]
    assert _kill(tmp_path, number) == (130 if name == "SIGINT" else -number)
    assert list(tmp_path.iterdir()) == []


def test_the_next_run_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    assert _kill(tmp_path, signal.SIGKILL) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert stat.S_IMODE(left.stat().st_mode) == 0o700
    with open_scratch(tmp_path):
        assert left.exists()  # it may be that of a process that has only just made it
    old = time.time() - 120
    os.utime(left, (old, old))
    with open_scratch(tmp_path) as mine:
        assert list(tmp_path.iterdir()) == [mine]
        os.utime(mine, (old, old))
        with open_scratch(tmp_path) as other:
            assert {*tmp_path.iterdir()} == {mine, other}


def test_memory_of_several_processes_counts(tmp_path: Path) -> None:
    from nhle_onnx.cli import supervision  # noqa: PLC0415 - Linux only

    script = (
        "import subprocess, sys, time\n"
        "held = [subprocess.Popen([sys.executable, '-c', 'import time; x = b\"x\" * 2**27; "
        "print(1, flush=True); time.sleep(60)']) for _ in range(2)]\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: supervision._measure_resident_bytes(process.pid) > 2**28)
    finally:
        for started in supervision._list_started(process.pid):
            os.kill(started, signal.SIGKILL)
        process.kill()
        process.wait()
    assert tmp_path.exists()


@pytest.mark.parametrize("is_file", [True, False], ids=["file", "variable"])
def test_settings_of_matplotlib_that_cannot_be_read(tmp_path: Path, *, is_file: bool) -> None:
    """It reads `matplotlibrc` in the folder that it is started in, whoever put it there."""
    (tmp_path / "matplotlibrc").write_bytes(b"\xff" if is_file else b"")
    script = (
        "from nhle_onnx.errors import InputRefusedError\n"
        "try: import nhle_onnx.release.page\n"
        "except InputRefusedError as error: print(error.reason, error.remedy)"
    )
    surroundings = os.environ | ({} if is_file else {"MPLBACKEND": "nonsense"})
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=surroundings, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("matplotlib cannot be loaded: ")
    assert "move a file matplotlibrc out of this folder" in done.stdout


_ELSEWHERE = {
    "an error of C code": "try: send()\n except BaseException as e: raise ImportError from e",
    "an error while another is handled": "try: send()\n finally: 1 / 0",
    "a destructor": "type('A', (), {'__del__': lambda self: send()})()\n time.sleep(5)",
}


@pytest.mark.usefixtures("not_covered")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("body", _ELSEWHERE.values(), ids=_ELSEWHERE)
def test_a_signal_that_is_turned_into_something_else(body: str, number: signal.Signals) -> None:
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # as in `_WAIT`
        "from nhle_onnx.cli import main as program\n"
        f"def send(): signal.raise_signal({number})\n"
        f"def work(*_, **__):\n {body}\n print('went on')\n"
        "program.cli.main = work\n"
        "program.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == (130 if number == signal.SIGINT else -number)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
