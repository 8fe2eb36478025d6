"""Cases in chunks, worked off by processes of one thread each."""

import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fuzzing.cases import Case, Part, Tried, try_case
from benchmarks.fuzzing.forked import import_commands
from benchmarks.fuzzing.seeds import Seed, read_seeds
from benchmarks.hostile import CASES
from benchmarks.hostile.attempts import try_hostile

SIZE = 250
_SEEDS: list[Seed] = []  # of this process, read once when it starts
_TRAINING = ("nhle_onnx.workflows.training", "nhle_onnx.workflows.trained")
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


def try_named(indices: Sequence[int]) -> Iterator[dict[str, Any]]:
    """A row for each case of the catalogue, by its place there; in one process."""
    if indices:
        with _open_pool(1, None, ()) as pool:
            yield from pool.map(_try_named, indices)


def try_chunks(
    chunks: Sequence[Chunk], folder: Path, kept: Path, workers: int
) -> Iterator[dict[str, Any]]:
    """A row for each chunk as it is done. `folder` holds the seeds; the chunks are of one part."""
    if not chunks:
        return
    part = chunks[0].part
    seeds = folder / ("patches" if part == "patches" else "models")
    with _open_pool(workers, seeds, _TRAINING if part == "training" else ()) as pool:
        waiting = [pool.submit(_try_chunk, chunk, kept) for chunk in chunks]
        for future in as_completed(waiting):
            yield future.result()


def _open_pool(workers: int, seeds: Path | None, others: Sequence[str]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        workers,
        multiprocessing.get_context("spawn"),  # without the threads of this process
        initializer=_start,
        initargs=(seeds, others),
    )


def _start(seeds: Path | None, others: Sequence[str]) -> None:
    _SEEDS.extend(read_seeds(seeds) if seeds else ())
    import_commands(*others)


def _try_named(index: int) -> dict[str, Any]:
    return try_hostile(CASES[index])


def _try_chunk(chunk: Chunk, kept: Path) -> dict[str, Any]:
    numbers = range(chunk.first, chunk.first + chunk.count)
    cases = [Case(part=chunk.part, number=number, seed=chunk.seed) for number in numbers]
    return summarize(chunk, [try_case(case, _SEEDS, kept) for case in cases])


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
