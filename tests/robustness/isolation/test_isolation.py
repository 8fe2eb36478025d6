"""A command's work runs in a child process: whatever ends that, the program says why and ends."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.processes import is_alive, wait_until
from support.runs import Nhle, Result
from support.shipped import EVALUATION, LENET

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="isolation is Linux's alone")

# The program, with a command more that does something terrible to itself, and says which it is.
PROBE = """
import ctypes, os, signal, sys, time
from pathlib import Path
import click
from nhle_onnx.cli import main as program
from nhle_onnx.cli.isolation import isolated

@program.cli.command("probe")
@click.argument("model", type=click.Path(path_type=Path))
@isolated
def probe(model):
    print(os.getpid(), os.getppid(), flush=True)
    {body}

signal.signal(signal.SIGINT, {interrupt})
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which a run under nohup ignores
program.main()
"""


def start_probe(
    body: str, *flags: object, interrupt: str = "signal.default_int_handler"
) -> subprocess.Popen[str]:
    program = PROBE.format(body=body, interrupt=interrupt)
    command = [sys.executable, "-c", program, "probe", LENET, *flags]
    return subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Result:
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return Result(process.returncode, out, err)


def read_child(process: subprocess.Popen[str]) -> int:
    """The process that does the work, once it does."""
    assert process.stdout is not None
    child, parent = map(int, process.stdout.readline().split())
    assert parent == process.pid
    return child


@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        ("ctypes.string_at(0)", "crashed the process that did it: Segmentation fault"),
        ("os.abort()", "crashed the process that did it: Aborted"),
        ("os.kill(os.getpid(), signal.SIGBUS)", "crashed the process that did it: Bus error"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed, most likely because memory ran out"),
    ],
    ids=["segfault", "abort", "bus", "oom"],
)
def test_a_crash_becomes_an_error(body: str, fragment: str) -> None:
    result = finish(start_probe(body))
    assert result.code == 3
    assert result.err.count("error:") == 1
    assert f"{LENET}" in result.err
    assert fragment in result.err
    assert "remedy:" in result.err
    assert "Traceback" not in result.err


def test_memory_is_bounded() -> None:
    body = "grown = []\n    while True: grown.append(bytearray(os.urandom(1024) * 4096))"
    result = finish(start_probe(body, "--max-memory", "200MiB"))
    assert result.code == 3
    assert f"working on {LENET} took more than 0.195 GiB of memory" in result.err
    assert "--max-memory" in result.err.splitlines()[-1]


def test_what_stays_within_its_bounds_is_left_alone() -> None:
    body = "kept = bytes(2**20) * 50; time.sleep(0.3)"
    result = finish(start_probe(body, "--max-memory", "200MiB", "--max-seconds", "60"))
    assert result.code == 0
    assert result.err == ""


@pytest.mark.parametrize("code", [0, 1, 4, 5])
def test_exit_codes_pass_through(code: int) -> None:
    assert finish(start_probe(f"return {code}")).code == code


def test_a_bug_still_shows_its_traceback() -> None:
    result = finish(start_probe("raise ZeroDivisionError"))
    assert result.code == 70
    assert result.err.count("Traceback") == 1
    assert result.err.splitlines()[-2] == "ZeroDivisionError"


def test_an_interrupt_of_the_program_reaches_its_child() -> None:
    process = start_probe("time.sleep(60)")
    child = read_child(process)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert result.code == 130
    assert result.err.count("interrupted") == 1
    assert not is_alive(child)


def test_a_key_at_the_terminal_interrupts_once(tmp_path: Path) -> None:
    """The kernel interrupts both processes; the child must not hear of it twice."""
    program = PROBE.format(
        body=(
            "count = []\n"
            "    signal.signal(signal.SIGINT, lambda *_: count.append(1))\n"
            "    Path('ready').touch()\n"
            "    deadline = time.monotonic() + 30\n"
            "    while not count and time.monotonic() < deadline: time.sleep(0.01)\n"
            "    time.sleep(0.5)\n"
            "    return 40 + len(count)"
        ),
        interrupt="signal.default_int_handler",
    )
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        command = [sys.executable, "-c", program, "probe", str(LENET)]
        os.execv(sys.executable, command)  # noqa: S606 - our own program
    try:
        wait_until((tmp_path / "ready").exists)
        os.write(terminal, b"\x03")
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 41
    finally:
        os.close(terminal)


def test_an_interrupt_that_the_shell_ignores_is_ignored() -> None:
    process = start_probe("time.sleep(1)", interrupt="signal.SIG_IGN")
    read_child(process)
    process.send_signal(signal.SIGINT)
    assert finish(process).code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_both_as_it_would_have_ended_one(number: signal.Signals) -> None:
    process = start_probe("time.sleep(60)")
    child = read_child(process)
    process.send_signal(number)
    assert finish(process).code == -number
    assert not is_alive(child)


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_a_signal_that_the_child_did_not_hear_is_sent_again(number: str) -> None:
    """One that comes between Python's last look for signals and a step that waits is not heard."""
    body = (
        f"signal.signal(signal.{number}, lambda *_: signal.signal(signal.{number}, signal.SIG_DFL))"
        "\n    print('ready', flush=True)\n    time.sleep(60)"
    )
    process = start_probe(body)
    child = read_child(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, number))
    assert finish(process).code == -getattr(signal, number)
    assert not is_alive(child)


def test_a_repeated_request_to_end_does_not_disturb_what_the_first_began(tmp_path: Path) -> None:
    done = tmp_path / "done"
    body = f"try: time.sleep(60)\n    finally: time.sleep(2.5); Path({str(done)!r}).touch()"
    process = start_probe(body)
    read_child(process)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert finish(process).code == -signal.SIGTERM
    assert done.exists()


def test_a_request_to_end_that_is_swallowed_is_raised_again_later() -> None:
    body = (
        "from nhle_onnx.cli import signals\n    signals._GRACE_S = 2.0\n"
        "    try: time.sleep(60)\n    except BaseException: pass\n    time.sleep(60)"
    )
    process = start_probe(body)
    read_child(process)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert finish(process).code == -signal.SIGTERM


def test_no_orphan_is_left() -> None:
    process = start_probe("time.sleep(60)")
    child = read_child(process)
    process.kill()
    finish(process)
    wait_until(lambda: not is_alive(child))


def test_without_isolation_one_process_does_all() -> None:
    process = start_probe("time.sleep(0)", "--no-isolation")
    assert process.stdout is not None
    assert int(process.stdout.readline().split()[0]) == process.pid
    assert finish(process).code == 0


@pytest.mark.parametrize("flags", [("--max-memory", "1GiB"), ("--max-seconds", "9")])
def test_a_limit_that_would_not_hold_is_refused(flags: tuple[str, str]) -> None:
    result = finish(start_probe("return 0", "--no-isolation", *flags))
    assert result.code == 2
    assert "need isolation" in result.err


@pytest.mark.parametrize("size", ["", "2GB", "-1", "0", "many", "nan", "infGiB", "1e999"])
def test_what_is_no_size_is_refused(nhle: Nhle, size: str) -> None:
    result = nhle("inspect", LENET, f"--max-memory={size}")
    assert result.code == 2
    assert "is not a size" in result.err


def test_isolation_changes_no_output() -> None:
    command = [sys.executable, "-m", "nhle_onnx", "inspect", str(LENET), "--json"]
    done, alone = (
        subprocess.run([*command, *flags], capture_output=True, check=True)
        for flags in ([], ["--no-isolation"])
    )
    assert json.loads(done.stdout)["schema"] == "nhle-onnx/inspect/v1"
    assert done.stdout == alone.stdout
    assert done.stderr == b""


def make_endless(path: Path) -> Path:
    """LeNet-5 behind a loop that hands the images round and round: a valid model."""
    model = onnx.load(LENET)
    given = model.graph.input[0]
    for node in model.graph.node:
        node.input[:] = ["turned" if name == given.name else name for name in node.input]
    flag = helper.make_tensor_value_info("on", TensorProto.BOOL, [])
    rounds = helper.make_tensor_value_info("round", TensorProto.INT64, [])
    images = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    kept = helper.make_tensor_value_info("still_on", TensorProto.BOOL, [])
    nodes = [
        helper.make_node("Identity", ["on"], ["still_on"]),
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    body = helper.make_graph(nodes, "body", [rounds, flag, images[0]], [kept, images[1]])
    loop = helper.make_node("Loop", ["rounds", "", given.name], ["turned"], body=body)
    model.graph.node.insert(0, loop)
    model.graph.initializer.append(numpy_helper.from_array(np.array(2**62), "rounds"))
    onnx.save(model, path)
    return path


def test_a_model_that_never_ends(tmp_path: Path) -> None:
    endless = make_endless(tmp_path / "endless.onnx")
    command = [sys.executable, "-m", "nhle_onnx", "verify", str(endless), "--forget", "3"]
    command += ["--data", str(EVALUATION), "--mean", "0.286", "--std", "0.353"]
    command += ["--max-seconds", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3, done.stderr
    assert "took longer than 3 seconds" in done.stderr
    assert str(endless) in done.stderr
