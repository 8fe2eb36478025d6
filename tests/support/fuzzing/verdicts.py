"""Whether a command did with a changed file what it promises, whatever the file."""

import hashlib
import json
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.release.patch.container import open_patch
from support.fuzzing.commands import MAX_MEMORY_MIB, MAX_SECONDS, OUT, Command
from support.fuzzing.forked import Run
from support.fuzzing.seeds import MODEL, PATCH

Outcome = Literal[
    "done", "gate failed", "usage", "refused", "not supported", "crash contained",
    "stopped for memory", "stopped for time", "not judged", "other",
]  # fmt: skip
Stock = Mapping[str, tuple[int, int, int]]
_BY_CODE: Mapping[int, Outcome] = {
    0: "done", 1: "gate failed", 2: "usage", 3: "refused", 4: "not supported",
    6: "not judged",
}  # fmt: skip
_CONTAINED: Mapping[str, Outcome] = {
    "crashed the process that did it": "crash contained",
    "was killed, most likely because memory ran out": "crash contained",
    "GiB of memory": "stopped for memory",
    f"took longer than {MAX_SECONDS} seconds": "stopped for time",
}
# memory fills on between two looks at it, and a busy machine takes its time to end a process
_SLACK_MIB, _SLACK_S = 512, 10
_MAX_PROCESSOR_S = 10
_MAX_SHOWN = 50_000


def name_outcome(run: Run) -> Outcome:
    """In a word, what came of it."""
    if run.code == InputRefusedError.exit_code:
        for sign, outcome in _CONTAINED.items():
            if sign in run.err:
                return outcome
    return _BY_CODE.get(run.code, "other")


def take_stock(folder: Path) -> Stock:
    """Every file below a folder, and what a write to it would change."""
    found = {path: path.lstat() for path in folder.rglob("*")}
    return {
        path.relative_to(folder).as_posix(): (entry.st_ino, entry.st_size, entry.st_mtime_ns)
        for path, entry in found.items()
        if not stat.S_ISDIR(entry.st_mode)
    }


def list_complaints(command: Command, run: Run, folder: Path, before: Stock) -> Iterator[str]:
    """What is wrong with how a command ended, what it showed, and what it left in the folder."""
    yield from _judge_ending(command, run)
    yield from _judge_texts(run)
    if "--json" in command.arguments and run.code == 0:
        yield from _judge_document(run.out)
    elif len(run.out + run.err) > _MAX_SHOWN:  # documents are for programs, and may be long
        yield f"showed {len(run.out + run.err)} characters"
    found = take_stock(folder)
    yield from (f"{name} was changed" for name in before if found.get(name) != before[name])
    outputs = {f"{OUT}/{name}" for name in command.outputs} if run.code in {0, 1, 6} else set()
    yield from (f"{name} was left" for name in found.keys() - before.keys() - outputs)


def _judge_ending(command: Command, run: Run) -> Iterator[str]:
    if run.code not in {0, 1, 3, 4, 6, *([2] if "--forget" in command.arguments else [])}:
        yield f"exit code {run.code}"
    if run.processor_s > _MAX_PROCESSOR_S:
        yield f"took {run.processor_s:.1f} s of processor time"
    if name_outcome(run) == "stopped for time":
        yield "went on until it was stopped"
    if run.elapsed_s > MAX_SECONDS + _SLACK_S:
        yield f"took {run.elapsed_s:.1f} s"
    if run.peak_bytes > (MAX_MEMORY_MIB + _SLACK_MIB) * 2**20:
        yield f"took {run.peak_bytes / 2**20:.0f} MiB"


def _judge_texts(run: Run) -> Iterator[str]:
    shown = run.out + run.err
    if "Traceback" in shown:
        yield f"traceback: {run.err.strip().splitlines()[-1]}"
    if marks := {mark for mark in shown if unicodedata.category(mark)[0] == "C"} - {"\n"}:
        yield f"control characters: {sorted(marks)!a}"
    errors = sum(line.startswith("error:") for line in run.err.splitlines())
    if run.code in {3, 4} and errors != 1:
        yield f"{errors} lines of error"
    if run.code == 0 and errors:
        yield "an error was shown"


def _judge_document(text: str) -> Iterator[str]:
    """Whether it is one JSON document, without NaN and infinity, which JSON does not have."""
    odd: list[str] = []
    try:
        json.loads(text, parse_constant=odd.append)
    except ValueError as error:
        yield f"is no JSON: {error}"
    yield from (f"has {name} in its JSON" for name in odd)


def list_broken_promises(folder: Path) -> Iterator[str]:
    """What of the result of `patch apply` is not what the patch says."""
    promised = open_patch(folder / PATCH).manifest.result
    names = ["made.onnx", *(file.name for file in promised[1:])]
    for name, file in zip(names, promised, strict=True):
        content = (folder / OUT / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != file.sha256:
            yield f"{name} is not what {PATCH} promises for {MODEL}"
