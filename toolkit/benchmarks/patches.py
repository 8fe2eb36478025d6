"""The size of patches compared with general tools, and the cost of applying one."""

import statistics
import tempfile
from itertools import product
from pathlib import Path

import click
from rich.progress import track

from benchmarks.patch_applying import LAYERS, WIDTH, measure_applying
from benchmarks.patch_sizes import EDITS, FORGOTTEN, MODELS, measure_size
from studies.results import read_rows, write_results
from studies.tables import Row, make_table

NAME = "patches"
SIZE_LIMIT, STAGE_LIMIT, TIME_LIMIT = 1.05, 0.15, 2.0


@click.command(NAME)
@click.option("--only", type=click.Choice(["sizes", "apply"]), help="[default: both]")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True)
def patches(only: str | None, runs: int) -> None:
    """Measure patches of MobileNetV3-Small, and applying one to a model of 512 MiB."""
    rows = [row for row in read_rows(NAME) if only and row["part"] != only]
    if only != "apply":
        cases = track(list(product(MODELS, EDITS)), description="sizes")
        with tempfile.TemporaryDirectory() as folder:
            rows += [measure_size(Path(folder), *case) for case in cases]
    if only != "sizes":
        with tempfile.TemporaryDirectory() as folder:
            rows += measure_applying(Path(folder), runs)
    publish(rows)


def publish(rows: list[Row]) -> None:
    """Write the page."""
    body = "\n\n".join(
        part
        for part in (describe_sizes(_pick(rows, "sizes")), describe_applying(_pick(rows, "apply")))
        if part
    )
    write_results(NAME, "Patches", body, rows)
    click.echo(body)


def _pick(rows: list[Row], part: str) -> list[Row]:
    return [
        {key: value for key, value in row.items() if key != "part"}
        for row in rows
        if row["part"] == part
    ]


def describe_sizes(rows: list[Row]) -> str:
    """Describe sizes, and whether the limits hold."""
    if not rows:
        return ""
    shown = [
        {key: "not installed" if value is None else value for key, value in row.items()}
        for row in rows
    ]
    compared = [row for row in rows if row["to the best other"] is not None]
    within = sum(row["to the best other"] <= SIZE_LIMIT for row in compared)
    stage = next(row for row in rows if (row["model"], row["edit"]) == ("float32", "last-stage"))
    return (
        "## Sizes\n\n"
        f"`unlearn --forget {FORGOTTEN}` on the shipped MobileNetV3-Small, in float32 and INT8, "
        "and the patch from the file as given to the edited one, in bytes. `header`: the part of "
        "ours for digests, names and offsets, which other tools do not store. `no deltas`: ours "
        "with new values only. `of the model`: ours relative to the model's file. `to the best "
        "other`: ours relative to the smallest patch of the other tools. `without header`: the "
        f"same without our header.\n\n{make_table(shown)}\n\n"
        f"{within} of {len(compared)} patches are at most {SIZE_LIMIT} of the best other tool's. "
        "Where only the head changed, a patch's digests are larger than another tool's "
        "whole patch, which verifies nothing: SHA-256 of both files, of the tensors before and "
        "after, and of the report take 32 bytes each, without any names. "
        f"The patch of `--scope last-stage` is {stage['of the model']:.3f} of the float32 model "
        f"(limit {STAGE_LIMIT})."
    )


def describe_applying(rows: list[Row]) -> str:
    """Describe times and memory, and whether the limits hold."""
    if not rows:
        return ""
    ratio = statistics.median(row["ratio"] for row in rows)
    memory = max(row["memory bytes"] for row in rows)
    missed = (
        " The limit is missed: applying also reads and hashes the base, decompresses the patch "
        "and adds it up, which other cores hide only if they are free."
    )
    return (
        "## Applying\n\n"
        f"A generated model of {LAYERS} layers of {WIDTH} x {WIDTH}, in which every weight "
        "changes, in steps as `unlearn` takes them. The whole process that applies the patch "
        "alternates with one that copies the result and hashes the copy, each to a new file.\n\n"
        f"{make_table(rows)}\n\n"
        f"Median ratio {ratio:.2f} (limit {TIME_LIMIT:.1f}).{missed if ratio > TIME_LIMIT else ''} "
        f"The process, including Python, uses at most {memory:,} bytes, of "
        f"{rows[0]['memory limit']:,} allowed."
    )
