"""How many of the package's branches the tests cover; pyproject.toml says what is measured."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from studies.results import ROOT, write_results
from studies.tables import make_table

NAME = "coverage"
DATA = ROOT / ".cache" / NAME
PACKAGE = "toolkit/nhle_onnx/"
LIMIT = 0.95
BODY = f"""
`share`: covered branches, of all; for the whole package it must be {LIMIT} or more. Processes
that the tests start, and those that these fork, count. Tests marked slow do not run.
"""


@click.command(NAME)
@click.option("--processes", default=2, show_default=True)
@click.option("--again", is_flag=True, help="Run only what failed in the last run, and add it.")
def coverage(processes: int, *, again: bool) -> None:
    """Run the tests, and count the branches that they cover; list untested lines."""
    if not again:
        shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True, exist_ok=True)
    found = DATA / "coverage.json"
    _run_tests(processes, f"json:{found}", *(["--last-failed", "--cov-append"] if again else []))
    rows = summarize(json.loads(found.read_text("utf-8"))["files"])
    write_results(NAME, "What the tests cover", f"{make_table(rows)}\n{BODY}", rows)
    click.echo(make_table(rows))


def _run_tests(processes: int, report: str, *options: str) -> None:
    reports = (f"--cov-report={report}", "--cov-report=term-missing:skip-covered")
    command = [sys.executable, "-m", "pytest", "-n", str(processes), "--dist", "loadfile"]
    variables = os.environ | {"OMP_NUM_THREADS": "1"}  # as .ci/check has it
    done = subprocess.run(
        [*command, "--cov", *reports, *options], cwd=ROOT, env=variables, check=False
    )
    if done.returncode:
        message = "tests fail, so coverage was not counted; --again runs only these"
        raise click.ClickException(message)


def summarize(files: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Make a row for each part of the package, and one for all, from coverage.py's JSON."""
    files = {file: found for file, found in files.items() if file.startswith(PACKAGE)}
    parts = sorted({_find_part(file) for file in files})
    return [
        *(
            _count(part, [found for file, found in files.items() if _find_part(file) == part])
            for part in parts
        ),
        _count("all", list(files.values())),
    ]


def _find_part(file: str) -> str:
    """Find a file's sub-package; a top-level file is its own part."""
    return file.removeprefix(PACKAGE).split("/")[0]


def _count(part: str, files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    branches, covered = (
        sum(file["summary"][name] for file in files)
        for name in ("num_branches", "covered_branches")
    )
    share = covered / branches if branches else 1.0
    return {
        "part": part,
        "branches": branches,
        "covered": covered,
        "share": share,
        "passed": share >= LIMIT,
    }
