"""python -m benchmarks cuda."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import click

from benchmarks.cuda import faults, inference, machine, programs, training
from benchmarks.cuda.place import REST, Place, Step, fail, skip
from studies.results import read_rows, write_results
from studies.tables import Row, make_table

_NAME = "cuda"
_CHILD = (sys.executable, "-m", "benchmarks", _NAME)


class _Part(NamedTuple):
    """A step, and the seconds after which it is stopped."""

    run: Step
    limit_s: float


# the most important first, as time may run out
_STEPS = {
    "machine": _Part(machine.list_facts, 60),
    "providers": _Part(inference.compare_providers, 120),
    "verdicts": _Part(training.compare_verdicts, 150),
    "commands": _Part(programs.run_commands, 150),
    "full memory": _Part(faults.fill_memory, 120),
    "lost card": _Part(faults.lose_card, 40),
    "TF32": _Part(inference.measure_tf32, 40),
    "forms": _Part(training.compare_forms, 90),
    "steps": _Part(training.time_steps, 60),
    "binding": _Part(inference.measure_binding, 40),
    "audit": _Part(programs.run_audit, 90),
    "detector": _Part(programs.run_detector, 120),
    "memory": _Part(training.measure_memory, 60),
    "profile": _Part(training.profile_steps, 60),
    "TensorRT": _Part(inference.compare_tensorrt, 40),
}


@click.command(_NAME)
@click.option("--step", "chosen", type=click.Choice(list(_STEPS)), multiple=True)
@click.option("--seconds", type=float, default=460, show_default=True, help="Of all steps.")
@click.option("--dry-run", is_flag=True, help="Run on the CPU with little work; show the page.")
@click.option("--rows", is_flag=True, help="Only print the rows of one step, as JSON lines.")
def cuda(*, chosen: tuple[str, ...], seconds: float, dry_run: bool, rows: bool) -> None:
    """Compare a GPU with the CPU, step by step, each in its own process. The page is written after
    each step, and says what did not run. With `--step`, it keeps the rows of the other steps.
    """
    place = Place("cpu" if dry_run else "cuda")
    names = chosen or tuple(_STEPS)
    if rows:
        for row in _STEPS[names[0]].run(place):
            click.echo(json.dumps(row))
        return
    fault = None if dry_run else machine.find_gpu_fault()
    found = {name: [skip("all of it", "not reached")] for name in names}
    if chosen and not dry_run:
        found = _read_published() | found
    deadline = time.monotonic() + seconds
    for name in names:
        found[name] = _run_step(name, place, deadline, fault)
        page = _describe(found, place)
        if not dry_run:
            write_results(_NAME, "On a GPU", page, _flatten(found))
    click.echo(_describe(found, place))


def _run_step(name: str, place: Place, deadline: float, fault: str | None) -> list[Row]:
    left_s = min(_STEPS[name].limit_s, deadline - time.monotonic())
    if fault is not None or left_s <= 0:
        return [skip("all of it", fault or "the time was up")]
    click.echo(f"{name} …", err=True)
    start = time.monotonic()
    found: list[Row] = []
    # a dry run stays in this process, which has imported torch
    for row in _guard(_STEPS[name].run, place) if place.is_dry else _isolate(name, left_s):
        click.echo(f"  {row['what']}: {row['value']} {row['limit']} {row['met']}", err=True)
        found.append(row)
    click.echo(f"  {time.monotonic() - start:.1f} s", err=True)
    return found


def _guard(step: Step, place: Place) -> Iterator[Row]:
    try:
        yield from step(place)
    except Exception as error:  # noqa: BLE001 - the other steps go on
        yield fail(REST, f"{type(error).__name__}: {' '.join(str(error).split())}")


def _isolate(name: str, limit_s: float) -> Iterator[Row]:
    """Yield the rows of a step as they come from its own process."""
    command = [*_CHILD, "--step", name, "--rows"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout  # noqa: S101 - it was asked for
        assert process.stderr  # noqa: S101
        said: list[str] = []
        listener = threading.Thread(target=lambda: said.extend(process.stderr or ()))
        guard = threading.Timer(limit_s, process.kill)
        listener.start()
        guard.start()
        yield from map(json.loads, filter(lambda line: line.startswith("{"), process.stdout))
        code = process.wait()
        is_late = not guard.is_alive()
        guard.cancel()
        listener.join()
    if code:
        end = f"stopped after {limit_s:.0f} s" if is_late else f"ended with {code}"
        yield fail(REST, f"{end}: {' '.join(''.join(said[-6:]).split())[-600:]}")


def _read_published() -> dict[str, list[Row]]:
    """Read each step's rows, in the order of the page."""
    parts: dict[str, list[Row]] = {name: [] for name in _STEPS}
    for row in read_rows(_NAME):
        parts[row.pop("step")].append(row)
    return {name: rows for name, rows in parts.items() if rows}


def _flatten(found: dict[str, list[Row]]) -> list[Row]:
    return [{"step": name, **row} for name, rows in found.items() for row in rows]


def _describe(found: dict[str, list[Row]], place: Place) -> str:
    rows = _flatten(found)
    sections = (
        f"## {name}\n\n{_explain(name)}\n\n{make_table(part)}" for name, part in found.items()
    )
    return "\n\n".join([_sum_up(rows, place), *sections])


def _sum_up(rows: Sequence[Row], place: Place) -> str:
    """Say where it ran, and which limits are missed."""
    judged = [row for row in rows if row["met"]]
    missed = [row for row in judged if row["met"] == "NO"]
    cards = [row["value"] for row in rows if row["what"] == machine.CARD]
    where = "A dry run on the CPU" if place.is_dry else f"Card: {', '.join(cards) or 'none'}"
    if not judged:
        return f"{where}. Nothing ran here."
    head = f"{where}. {len(judged) - len(missed)} of {len(judged)} limits are met."
    lines = "\n".join(f"- {row['step']}: {row['what']}" for row in missed)
    return f"{head} Missed:\n\n{lines}" if missed else head


def _explain(name: str) -> str:
    return (_STEPS[name].run.__doc__ or "").strip()
