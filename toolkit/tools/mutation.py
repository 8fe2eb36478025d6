"""Whether a test fails when the code is changed, by mutmut; see pyproject.toml."""

import random
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from scipy.stats import binomtest

from studies.results import ROOT, read_rows, write_results
from studies.tables import make_table

NAME = "mutation"
WORK = ROOT / ".cache" / NAME
SURVIVORS = ROOT / "tests" / "mutation" / "survivors.toml"
LIMIT = 0.90
CAUGHT = frozenset({"killed", "timeout", "caught by type check"})
UNCHECKED = "not checked"
SKIPPED = frozenset({UNCHECKED, "skipped"})
PACKAGES = ("unlearning", "graph", "release", "verification")
BODY = """
A mutant is one small change of the code. `caught`: mutants that make a test fail or hang.
`explained`: survivors with a reason in `tests/mutation/survivors.toml`, which is most often that
they compute the same; they do not count as caught.
`tests`: the unit tests that ran; those of whole commands (tests/cli) and of promises never do.
Packages with `sampled` below `mutants` were measured on a sample, drawn with the command's seed:
the share of all mutants lies between `at_least` and `at_most` with a confidence of 95 % (Wilson's
interval). The command below measured the packages that it names; other rows are of earlier runs.
"""


@click.command(NAME)
@click.option("--package", "packages", multiple=True, default=PACKAGES, help="Packages to change.")
@click.option("--sample", type=click.IntRange(1), help="Mutants of each package.  [default: all]")
@click.option("--seed", default=0, show_default=True)
@click.option("--processes", default=2, show_default=True)
@click.option(
    "--own-tests", is_flag=True, help="Run only the packages' own tests, which is faster."
)
@click.option("--again", is_flag=True, help="Continue the last run, and test its survivors again.")
def mutation(
    packages: Sequence[str],
    sample: int | None,
    seed: int,
    processes: int,
    *,
    own_tests: bool,
    again: bool,
) -> None:
    """Change the code mutant by mutant, and count changes that no test notices."""
    if find_spec("mutmut") is None:
        message = "mutmut is not installed: pip install -c constraints.txt '.[mutation]'"
        raise click.UsageError(message)
    _arrange(packages if own_tests else PACKAGES, starts_anew=not again)
    rows = {row["package"]: row for row in read_rows(NAME)}
    for package in packages:
        names = _list_statuses(package)
        if not names:
            _run(processes, f"nhle_onnx.{package}.__init__*")  # creates all of them, and tests none
            names = _list_statuses(package)
        chosen = sorted(names)
        if sample and sample < len(chosen):
            chosen = random.Random(seed).sample(chosen, sample)  # noqa: S311 - not a secret
        _run(processes, *(name for name in chosen if names[name] not in CAUGHT))
        ran = "the package's own" if own_tests else "of all four packages"
        rows[package] = {**_summarize(package, chosen, len(names)), "tests": ran}
        found = list(rows.values())
        write_results(NAME, "Which changes the tests notice", f"{make_table(found)}\n{BODY}", found)
    click.echo(make_table(list(rows.values())))


def _arrange(tested: Sequence[str], *, starts_anew: bool) -> None:
    """Arrange the checkout for mutmut, to change and test the packages that are `tested`."""
    if starts_anew:
        shutil.rmtree(WORK, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", ".mypy_cache")
    folders = {"toolkit/nhle_onnx": "nhle_onnx"} | {
        name: name for name in ("tests", "models", "calibration_samples")
    }
    for source, place in folders.items():
        shutil.copytree(ROOT / source, WORK / place, dirs_exist_ok=True, ignore=ignored)
    settings = (ROOT / "pyproject.toml").read_text("utf-8")
    for name in {*PACKAGES} - {*tested}:
        settings = re.sub(rf'"(nhle_onnx/{name}/\*|tests/unit/{name})",', "", settings)
    (WORK / "pyproject.toml").write_text(settings, "utf-8")


def _run(processes: int, *names: str) -> None:
    if names:
        _call("run", "--max-children", str(processes), *names)


def _call(*arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    shows = arguments[0] == "run"
    done = subprocess.run(
        command, cwd=WORK, stdout=None if shows else subprocess.PIPE, text=True, check=False
    )
    return done.stdout or ""


def _list_statuses(package: str) -> dict[str, str]:
    """List the status of each mutant of a package; empty before the first run."""
    if not (WORK / "mutants").is_dir():
        return {}
    found = re.findall(r"^ +(\S+): (.+)$", _call("results", "--all", "true"), re.MULTILINE)
    return {name: status for name, status in found if name.startswith(f"nhle_onnx.{package}.")}


def _summarize(package: str, chosen: Sequence[str], mutants: int) -> dict[str, Any]:
    statuses = _list_statuses(package)
    unchecked = sum(statuses.get(name, UNCHECKED) == UNCHECKED for name in chosen)
    if unchecked:
        message = f"{package}: {unchecked} of {len(chosen)} mutants were not tested; nothing counts"
        raise click.ClickException(message)
    tested = [name for name in chosen if statuses[name] not in SKIPPED]
    counts = Counter(statuses[name] for name in tested)
    caught = sum(counts[status] for status in CAUGHT)
    known = {_normalize(each["change"]) for each in _read_survivors()}
    survivors = [name for name in tested if statuses[name] not in CAUGHT]
    changes = {name: _read_change(name) for name in survivors}
    unexplained = [name for name, change in changes.items() if _normalize(change) not in known]
    for name in unexplained:
        click.echo(f"{name}:\n{changes[name]}\n")
    share = caught / len(tested) if tested else 0.0
    lowest, highest = share, share
    if 0 < len(tested) < mutants:
        lowest, highest = binomtest(caught, len(tested)).proportion_ci(method="wilson")
    return {
        "package": package,
        "mutants": mutants,
        "sampled": len(tested),
        "caught": caught,
        "share": share,
        "at_least": float(lowest),
        "at_most": float(highest),
        "explained": len(survivors) - len(unexplained),
        "unexplained": len(unexplained),
        "passed": share >= LIMIT,
    }


def _read_change(mutant: str) -> str:
    """Return the changed lines of a mutant's diff."""
    lines = _call("show", mutant).splitlines()
    return "\n".join(
        line for line in lines if line[:1] in {"+", "-"} and line[:3] not in {"+++", "---"}
    )


def _normalize(change: str) -> str:
    return re.sub(r"\s+", " ", change).strip()


def _read_survivors() -> list[dict[str, str]]:
    if not Path(SURVIVORS).is_file():
        return []
    survivors: list[dict[str, str]] = tomllib.loads(SURVIVORS.read_text("utf-8"))["survivor"]
    return survivors
