"""Commands in processes forked from one that has imported them: as a user sees them."""

import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

_DEADLINE_S = 120  # for the watching process itself; it has set the command a shorter one
_SHOWN_BYTES = 2**25
_IMPORTS = (
    "nhle_onnx.cli.show", "nhle_onnx.release.report", "nhle_onnx.workflows.diff",
    "nhle_onnx.workflows.inspect", "nhle_onnx.workflows.kit", "nhle_onnx.workflows.patch_apply",
    "nhle_onnx.workflows.patch_create", "nhle_onnx.workflows.plan", "nhle_onnx.workflows.unlearn",
    "nhle_onnx.workflows.verify", "numpy.ma", "rich.progress", "rich.table", "scipy.special",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a command left on the terminal, how it ended (a signal's negative number if of one), how
    long it took, on the clock and of all processors, and the most resident memory of a process of
    it, with all that is imported.
    """

    code: int
    out: str
    err: str
    elapsed_s: float
    processor_s: float
    peak_bytes: int


def import_commands(*others: str) -> None:
    """Import what commands need, once. Starts no session, hence hardly a thread."""
    for name in (*_IMPORTS, *others):
        import_module(name)
    gc.collect()
    gc.freeze()  # pages that children share are then not touched by their collectors


def keep_to_one_core(index: int) -> None:
    """ONNX Runtime then starts no threads that would wait for each other."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[index % len(cores)]})


def run_forked(arguments: Sequence[str], folder: Path) -> Run:
    """Run the program in `folder`, with its isolation: two processes more."""
    shown = folder.with_suffix(".out"), folder.with_suffix(".err")
    start_s = time.perf_counter()
    child = os.fork()
    if child == 0:
        _run(arguments, folder, shown)
    _, status, usage = os.wait4(child, 0)
    elapsed_s = time.perf_counter() - start_s
    out, err = (_read(path) for path in shown)
    return Run(
        code=os.waitstatus_to_exitcode(status),
        out=out,
        err=err,
        elapsed_s=elapsed_s,
        processor_s=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * 1024,
    )


def _run(arguments: Sequence[str], folder: Path, shown: tuple[Path, Path]) -> None:
    """The program's own end; never returns, whatever happens."""
    from nhle_onnx.cli.main import run  # noqa: PLC0415 - here a failure to import it is seen, too

    code = 70
    try:
        signal.alarm(_DEADLINE_S)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, path in enumerate(shown, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.chdir(folder)
        code = run(list(arguments), as_program=True)
    except BaseException:  # noqa: BLE001 - as the interpreter does for any
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _read(path: Path) -> str:
    with path.open("rb") as stream:
        content = stream.read(_SHOWN_BYTES)
    path.unlink()
    return content.decode("utf-8", "backslashreplace")
