"""The catalogue's cases, tried as a user would, with what they took."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from support import TESTS
from support.fuzzing.commands import LIMITS, OUT, Command
from support.fuzzing.forked import Run, import_commands, run_forked
from support.fuzzing.verdicts import list_complaints, name_outcome, take_stock
from support.hostile import CASES
from support.hostile.case import Attempt, HostileFile, read_base
from support.shipped import LENET

_OUTPUTS = frozenset({"edited.onnx", "edited.report.json", "edited.onnx.data"})


def try_all(missing: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row for each of the named cases as it is done, tried in a process without threads."""
    if not missing:
        return
    command = [sys.executable, "-m", "support.hostile.attempts", *missing]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True) as worker:
        for line in worker.stdout or ():
            yield json.loads(line)
    if worker.returncode:
        raise subprocess.CalledProcessError(worker.returncode, command)


def try_hostile(case: HostileFile) -> dict[str, Any]:
    """One case as a row: what came of each of its attempts, and what is to be complained of."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "files"
        (folder / OUT).mkdir(parents=True)
        case.build(folder, read_base(LENET))
        runs: list[Run] = []
        complaints: list[str] = []
        for attempt in case.attempts:
            arguments = tuple(part.format(folder=folder) for part in attempt.command)
            command = Command(name=arguments[0], arguments=arguments, outputs=_OUTPUTS)
            before = take_stock(folder)
            run = run_forked([*arguments, *LIMITS], folder)
            complaints += list_complaints(command, run, folder, before)
            complaints += _list_surprises(attempt, run)
            runs.append(run)
    return {
        "part": "named",
        "name": case.name,
        "tries": case.tries,
        "commands": [shorten(attempt) for attempt in case.attempts],
        "outcomes": [name_outcome(run) for run in runs],
        "longest_s": max(run.processor_s for run in runs),
        "peak_bytes": max(run.peak_bytes for run in runs),
        "complaints": complaints,
    }


def shorten(attempt: Attempt) -> str:
    """The command without its folder."""
    return " ".join(part.removeprefix("{folder}/") for part in attempt.command)


def _list_surprises(attempt: Attempt, run: Run) -> Iterator[str]:
    if run.code not in attempt.codes:
        yield f"exit code {run.code}, not {' or '.join(map(str, attempt.codes))}"
    if attempt.says not in run.out + run.err:
        yield f"does not say {attempt.says!r}"
    if run.code in {3, 4} and "\nremedy:" not in run.err:
        yield "offers no remedy"


if __name__ == "__main__":
    import_commands()
    for hostile_file in CASES:
        if hostile_file.name in sys.argv[1:]:
            sys.stdout.write(json.dumps(try_hostile(hostile_file)) + "\n")
            sys.stdout.flush()
