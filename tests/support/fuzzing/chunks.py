"""Cases in chunks, worked off by processes of one thread each."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from support import TESTS
from support.fuzzing.cases import Case, Part, Tried, try_case
from support.fuzzing.forked import import_commands, keep_to_one_core
from support.fuzzing.seeds import SAMPLES, read_seeds

SIZE = 200
_TRAINING = tuple(
    f"nhle_onnx.workflows.{name}" for name in ("training", "training_result", "audit")
)
_LISTED = 20  # contained crashes and the like, of one chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Consecutive cases of a part of the study."""

    part: Part
    first: int
    count: int
    seed: int


def split_cases(part: Part, count: int, seed: int) -> list[Chunk]:
    """So many cases in chunks."""
    return [
        Chunk(part=part, first=first, count=min(SIZE, count - first), seed=seed)
        for first in range(0, count, SIZE)
    ]


def try_chunks(
    chunks: Sequence[Chunk], folder: Path, kept: Path, workers: int
) -> Iterator[dict[str, Any]]:
    """A row for each chunk as it is done. `folder` holds the seeds."""
    pool = ThreadPoolExecutor(workers)
    try:
        waiting = [pool.submit(_run_worker, chunk, folder, kept) for chunk in chunks]
        for future in as_completed(waiting):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def try_chunk(chunk: Chunk, folder: Path, kept: Path) -> dict[str, Any]:
    """All cases of a chunk in this process, which must have no threads, as a row."""
    seeds = read_seeds(folder / ("models" if chunk.part == "training" else chunk.part))
    import_commands(*(_TRAINING if chunk.part in {"training", *SAMPLES} else ()))
    keep_to_one_core(chunk.first // SIZE)
    numbers = range(chunk.first, chunk.first + chunk.count)
    cases = [Case(part=chunk.part, number=number, seed=chunk.seed) for number in numbers]
    return summarize(chunk, [try_case(case, seeds, kept) for case in cases])


def _run_worker(chunk: Chunk, folder: Path, kept: Path) -> dict[str, Any]:
    """In a process of its own: one with many imports would be slow to fork, and with threads,
    unsafe.
    """
    command = [sys.executable, "-m", "support.fuzzing.worker"]
    done = subprocess.run(
        [*command, json.dumps(asdict(chunk)), folder.absolute(), kept.absolute()],
        cwd=TESTS,
        stdout=subprocess.PIPE,
        check=True,
    )
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def summarize(chunk: Chunk, tried: Sequence[Tried]) -> dict[str, Any]:
    """A chunk as a row: counts, extremes, and the few cases worth naming."""
    counts: dict[str, Counter[str]] = {}
    for each in tried:
        counts.setdefault(each.command, Counter())[each.outcome] += 1
    contained = [each for each in tried if each.outcome.startswith(("crash", "stopped"))]
    return {
        "part": chunk.part,
        "seed": chunk.seed,
        "first": chunk.first,
        "cases": len(tried),
        "outcomes": {command: dict(sorted(found.items())) for command, found in counts.items()},
        "longest_s": max(each.processor_s for each in tried),
        "peak_bytes": max(each.peak_bytes for each in tried),
        "contained": [_describe(each) for each in contained[:_LISTED]],
        "findings": [
            {**_describe(each), "complaints": list(each.complaints)}
            for each in tried
            if each.complaints
        ],
    }


def _describe(tried: Tried) -> dict[str, Any]:
    return {
        "case": tried.case.number,
        "start": tried.start,
        "command": tried.command,
        "outcome": tried.outcome,
        "says": tried.says,
    }
