"""What is left when a command is killed at a random moment."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from support.fault_jobs import Job
from support.whole_outputs import digest_file

Target = Literal["both", "parent", "child"]
TARGETS: tuple[Target, ...] = ("both", "parent", "child")
# the first as often as all others; these ask the program to end, which then leaves nothing
SIGNALS = ("SIGKILL", "SIGTERM", "SIGKILL", "SIGHUP", "SIGKILL", "SIGINT")
_LATE = 0.25  # of a run, the last part: where files are written
_PATIENCE_S = 60.0
_GROWTH = 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One command that was killed, and what it left. `target` says which of the program's two
    processes, the one that watches or the one that works. `was_done` says that it had ended before.
    `outputs` is "absent", "incomplete" (some, without the report that seals them), or "whole";
    `leftovers` counts other files; `faults` must be empty.
    """

    job: str
    target: Target
    delay_s: float
    was_done: bool
    outputs: Literal["absent", "incomplete", "whole"]
    leftovers: int
    faults: tuple[str, ...]
    signal: str = "SIGKILL"


def kill_jobs(
    jobs: Sequence[Job], kills: Iterable[int], seed: int, scratch: Path
) -> Iterator[Kill]:
    """The kills of these numbers, jobs, signals and targets in turn, and every run that ended
    before its kill.

    Half of them come at any moment of the run, half in its last part.
    """
    for number in (signal.SIGINT, signal.SIGHUP):  # a job in the background would ignore them
        signal.signal(number, signal.default_int_handler)
    lasting_s = {job.name: job.run_s for job in jobs}
    for index in kills:
        chance = random.Random(f"{seed} {index}")  # noqa: S311 - nobody is to be kept from guessing
        job, is_late = jobs[index % len(jobs)], True
        while is_late:
            latest_s = lasting_s[job.name]
            delay_s = chance.uniform(chance.choice((0.0, (1 - _LATE) * latest_s)), latest_s)
            folder = Path(tempfile.mkdtemp(dir=scratch))
            turn = index + index // len(jobs)  # another signal for each job in each round
            name = SIGNALS[turn % len(SIGNALS)]
            # of the two processes, the one that watches hears the polite ones, as from a shell
            target = TARGETS[turn // 2 % len(TARGETS)] if name == "SIGKILL" else "parent"
            kill = kill_once(job, target, delay_s, folder, name)
            shutil.rmtree(folder)
            is_late = kill.was_done
            # other work on the machine, which slows a run down, comes and goes
            lasting_s[job.name] = delay_s if is_late else _GROWTH * latest_s
            yield kill


def kill_once(
    job: Job, target: Target, delay_s: float, folder: Path, name: str = "SIGKILL"
) -> Kill:
    """Start a job in an empty folder, kill it, and look at the folder, at the inputs and at
    temporary files.
    """
    temporary = folder.with_name(f"{folder.name}.tmp")
    temporary.mkdir(exist_ok=True)
    for output, content in job.old.items():
        (folder / output).write_bytes(content)
    before = {path: digest_file(path) for path in job.inputs}
    with subprocess.Popen(
        job.command,
        cwd=folder,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        time.sleep(delay_s)
        children = _list_children(parent.pid)
        was_done = parent.poll() is not None
        if not was_done:
            _kill(parent.pid, children, target, signal.Signals[name])
        _, errors = parent.communicate(timeout=_PATIENCE_S)
    complaints = [*_check_ending(job, parent.returncode, errors, target, was_done=was_done)]
    if not _have_ended(children):
        complaints.append("the work went on without its parent")
    complaints += [
        f"{path.name} was changed" for path in before if digest_file(path) != before[path]
    ]
    # torch makes an empty folder for a compiler that is not used
    left = [path.name for path in temporary.rglob("*") if path.is_file()]
    if left and name != "SIGKILL":
        complaints.append(f"temporary files were left: {', '.join(left)}")
    shutil.rmtree(temporary)
    found = _look(job, folder, target, delay_s, complaints, was_done=was_done)
    return replace(found, signal=name)


def count_kills(kills: Sequence[Kill]) -> list[dict[str, Any]]:
    """A row a job."""
    rows = []
    for job in dict.fromkeys(kill.job for kill in kills):
        own = [kill for kill in kills if kill.job == job]
        states = Counter(kill.outputs for kill in own)
        rows.append(
            {
                "command": job,
                "kills": sum(not kill.was_done for kill in own),
                "finished before": sum(kill.was_done for kill in own),
                "outputs absent": states["absent"],
                "whole": states["whole"],
                "whole, unsealed": states["incomplete"],
                "leftovers": sum(kill.leftovers for kill in own),
                "faults": sum(len(kill.faults) for kill in own),
            }
        )
    return rows


def _list_children(process: int) -> list[int]:
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text("ascii")
    except OSError:
        return []
    return [int(child) for child in text.split()]


def _kill(parent: int, children: Sequence[int], target: Target, number: signal.Signals) -> None:
    """Kill the processes meant; the parent alone where there is no child yet."""
    if target != "child" or not children:
        os.kill(parent, number)
    if target != "parent":
        for child in children:
            os.kill(child, number)


def _check_ending(
    job: Job, code: int, errors: str, target: Target, *, was_done: bool
) -> Iterator[str]:
    """What is wrong with how the program ended."""
    # the interpreter shows one of its own, where it has not reached the package yet
    if "Traceback" in errors and "nhle_onnx" in errors:
        yield f"a traceback was shown: {errors.strip().splitlines()[-1]}"
    if was_done and code != job.code:
        yield f"exit code {code}"
    if target == "child" and code not in {job.code, 3, -signal.SIGKILL}:
        yield f"exit code {code} where a child was killed"


def _have_ended(processes: Sequence[int]) -> bool:
    deadline = time.monotonic() + _PATIENCE_S
    while any(_is_alive(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def _look(
    job: Job,
    folder: Path,
    target: Target,
    delay_s: float,
    complaints: Sequence[str],
    *,
    was_done: bool,
) -> Kill:
    found = {path.name for path in folder.iterdir()}
    made = found & job.checks.keys()
    broken = [f"{name} is not whole" for name in made if not job.checks[name](folder / name)]
    if was_done and made != job.checks.keys():
        broken.append("outputs are missing")
    outputs: Literal["absent", "incomplete", "whole"] = "incomplete"
    if not made:
        outputs = "absent"
    elif made == job.checks.keys():
        outputs = "whole"
    return Kill(
        job=job.name,
        target=target,
        delay_s=delay_s,
        was_done=was_done,
        outputs=outputs,
        leftovers=len(found - job.checks.keys()),
        faults=(*complaints, *broken),
    )
