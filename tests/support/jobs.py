"""Jobs that a worker process can import."""

import os
import signal
import time
from pathlib import Path

import onnx

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.runtime.session import open_session


def square(number: int) -> int:
    return number * number


def count_threads(model: Path) -> int:
    """Those of ONNX Runtime's."""
    session = open_session(onnx.load(model), "cpu").native
    return int(session.get_session_options().intra_op_num_threads)


def die_once(marker: Path) -> str:
    """Kill the process at the first try; work at the second."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker.name


def kill_all_once(marker: Path) -> str:
    """Kill every process that this one's parent started, at the first try; work at the second."""
    if not marker.exists():
        marker.touch()
        parent = os.getppid()
        started = Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii").split()
        for process in sorted(map(int, started), key=os.getpid().__eq__):  # this one last
            os.kill(process, signal.SIGKILL)
    return marker.name


def misbehave(kind: str) -> str:
    if kind == "refused":
        message = "no such file"
        raise InputRefusedError(message, remedy="Look again.")
    if kind == "crashed":
        message = "a bug"
        raise ZeroDivisionError(message)
    if kind == "lost":
        os.kill(os.getpid(), signal.SIGKILL)
    return kind


def wait_for(file: Path) -> str:
    """Note that it has begun, and go on once the file is there."""
    file.with_suffix(f".{os.getpid()}.begun").touch()
    while not file.exists():
        time.sleep(0.05)
    return file.name
