"""What is left when a command is killed at a random moment."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import click
from rich.progress import track

from benchmarks.fault_jobs import Job, digest_file, make_jobs
from benchmarks.results import make_table, write_results

NAME = "faults"
Target = Literal["both", "parent", "child"]
TARGETS: tuple[Target, ...] = ("both", "parent", "child")
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


@click.command(NAME)
@click.option("--kills", type=click.IntRange(1), default=300, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def faults(kills: int, seed: int) -> None:
    """Kill each command that writes files, and look at what is left."""
    with tempfile.TemporaryDirectory() as folder:
        click.echo("running each command once", err=True)
        jobs = list(make_jobs(Path(folder)))
        done = list(track(kill_jobs(jobs, kills, seed, Path(folder)), "killing", kills))
    rows = count_kills(done)
    body = describe(done, rows)
    write_results(NAME, "Commands that were killed", body, [asdict(kill) for kill in done])
    click.echo(body)


def kill_jobs(jobs: Sequence[Job], kills: int, seed: int, scratch: Path) -> Iterator[Kill]:
    """So many kills, the jobs and targets in turn, and every run that had ended before its kill.

    Half of them come at any moment of the run, half in its last part.
    """
    chance = random.Random(seed)  # noqa: S311 - nobody is to be kept from guessing
    lasting_s = {job.name: job.run_s for job in jobs}
    for index in range(kills):
        turn, place = divmod(index, len(jobs))
        job, is_late = jobs[place], True
        while is_late:
            latest_s = lasting_s[job.name]
            delay_s = chance.uniform(chance.choice((0.0, (1 - _LATE) * latest_s)), latest_s)
            folder = Path(tempfile.mkdtemp(dir=scratch))
            kill = kill_once(job, TARGETS[turn % len(TARGETS)], delay_s, folder)
            shutil.rmtree(folder)
            is_late = kill.was_done
            # other work on the machine, which slows a run down, comes and goes
            lasting_s[job.name] = delay_s if is_late else _GROWTH * latest_s
            yield kill


def kill_once(job: Job, target: Target, delay_s: float, folder: Path) -> Kill:
    """Start a job in an empty folder, kill it, and look at the folder and at the inputs."""
    for name, content in job.old.items():
        (folder / name).write_bytes(content)
    before = {path: digest_file(path) for path in job.inputs}
    with subprocess.Popen(
        job.command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        time.sleep(delay_s)
        children = _list_children(parent.pid)
        was_done = parent.poll() is not None
        if not was_done:
            _kill(parent.pid, children, target)
        _, errors = parent.communicate(timeout=_PATIENCE_S)
    complaints = [*_check_ending(job, parent.returncode, errors, target, was_done=was_done)]
    if not _have_ended(children):
        complaints.append("the work went on without its parent")
    complaints += [
        f"{path.name} was changed" for path in before if digest_file(path) != before[path]
    ]
    return _look(job, folder, target, delay_s, complaints, was_done=was_done)


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
                "done before": sum(kill.was_done for kill in own),
                "outputs absent": states["absent"],
                "whole": states["whole"],
                "whole, unsealed": states["incomplete"],
                "leftovers": sum(kill.leftovers for kill in own),
                "faults": sum(len(kill.faults) for kill in own),
            }
        )
    return rows


def describe(kills: Sequence[Kill], rows: Sequence[dict[str, Any]]) -> str:
    """The page."""
    found = sum(len(kill.faults) for kill in kills)
    late = sum(kill.was_done for kill in kills)
    details = "\n".join(
        f"- {kill.job}, {kill.target}, after {kill.delay_s:.2f} s: {', '.join(kill.faults)}"
        for kill in kills
        if kill.faults
    )
    return (
        "Each command is started on LeNet-5 in an empty folder (with `--force`: among the outputs "
        "of another run) and killed (`SIGKILL`): both of its processes, the one that watches, or "
        "the one that works, in turn. Half of the moments are anywhere in the run, half in its "
        f"last quarter. {len(kills) - late} commands were killed, {late} more were done before.\n\n"
        "Then every output must be absent, or be whole: the same bytes as without the kill, a "
        "signature that holds, or a report that describes the model beside it. Outputs are "
        "unsealed where the report is missing, which is put there last. Every input must "
        "be as it was, and no process may be left.\n\n"
        f"**{found} faults.**\n\n{make_table(rows)}" + (f"\n\n{details}" if details else "")
    )


def _list_children(process: int) -> list[int]:
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text("ascii")
    except OSError:
        return []
    return [int(child) for child in text.split()]


def _kill(parent: int, children: Sequence[int], target: Target) -> None:
    """Kill the processes meant; the parent alone where there is no child yet."""
    if target != "child" or not children:
        os.kill(parent, signal.SIGKILL)
    if target != "parent":
        for child in children:
            os.kill(child, signal.SIGKILL)


def _check_ending(
    job: Job, code: int, errors: str, target: Target, *, was_done: bool
) -> Iterator[str]:
    """What is wrong with how the program ended."""
    if "Traceback" in errors:
        yield "a traceback was shown"
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
