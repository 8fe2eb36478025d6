"""One case: a good file, drawn and changed by its number alone, and a command that is given it."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

from support.fuzzing import octets
from support.fuzzing.commands import ON_DATA, ON_MODELS, ON_PATCHES, OUT, TRAINING, Command
from support.fuzzing.data_files import change_data
from support.fuzzing.draw import toss
from support.fuzzing.forked import Run, run_forked
from support.fuzzing.models import is_well_formed, make_model
from support.fuzzing.patches import make_patch
from support.fuzzing.seeds import DATA, MODEL, PATCH, SAMPLES, Seed
from support.fuzzing.verdicts import (
    Outcome,
    list_broken_promises,
    list_complaints,
    name_outcome,
    take_stock,
)

Part = Literal["models", "training", "patches", "tars", "parquets", "arrays", "images"]
_SIDECARS = 0.3  # of those changed, as the model is
_DRAFTS = 10  # of half the models, until one passes the first checks: others see but those
_SHOWN = 300
COMMANDS: Mapping[Part, tuple[Command, ...]] = {
    "models": ON_MODELS,
    "training": TRAINING,
    "patches": ON_PATCHES,
    **ON_DATA,  # type: ignore[dict-item]
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One number of a part of the study; with its seed it says all that is drawn."""

    part: Part
    number: int
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What became of a case. `complaints` must be empty; `says` is the first line of an error."""

    case: Case
    start: str
    command: str
    outcome: Outcome
    says: str
    processor_s: float
    peak_bytes: int
    complaints: tuple[str, ...]


def draw_files(case: Case, seeds: Sequence[Seed]) -> tuple[Seed, dict[str, bytes]]:
    """The seed, and the files of the case."""
    chance = Random(f"{case.part} {case.seed} {case.number}")  # noqa: S311 - is to be foreseen
    seed = chance.choice(seeds)
    files = {name: content for name, content in seed.files.items() if name != DATA}
    if case.part == "patches":
        files[PATCH] = make_patch(files[PATCH], chance)
        return seed, files
    if case.part in SAMPLES:
        del files[MODEL]
        return seed, change_data(case.part, files, chance)
    donors = [other.files[MODEL] for other in seeds]
    start = files[MODEL]
    for _ in range(chance.choice((1, _DRAFTS))):
        files[MODEL] = make_model(start, donors, chance)
        if is_well_formed(files[MODEL]):
            break
    for name in sorted(files.keys() - {MODEL}):
        if toss(chance, _SIDECARS):
            files[name] = chance.choice(octets.EDITS)(files[name], chance)
    return seed, files


def choose_command(case: Case) -> Command:
    """Commands take turns."""
    commands = COMMANDS[case.part]
    return commands[case.number % len(commands)]


def try_case(case: Case, seeds: Sequence[Seed], kept: Path | None = None) -> Tried:
    """Make the files, run the command, and judge. Files about which there is something to say are
    put into `kept`.
    """
    seed, files = draw_files(case, seeds)
    command = choose_command(case)
    run, complaints = _try_files(command, seed, files)
    outcome = name_outcome(run)
    if kept and (complaints or outcome == "crash contained"):
        _keep(files, run.err, kept / f"{case.part}-{case.seed}-{case.number}")
    return Tried(
        case=case,
        start=seed.name,
        command=command.name,
        outcome=outcome,
        says=next(iter(run.err.splitlines()), "")[:_SHOWN],
        processor_s=run.processor_s,
        peak_bytes=run.peak_bytes,
        complaints=complaints,
    )


def _try_files(
    command: Command, seed: Seed, files: Mapping[str, bytes]
) -> tuple[Run, tuple[str, ...]]:
    """Run a command on files in a folder of their own; with what is to be complained of."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "case"
        (folder / OUT).mkdir(parents=True)
        for file, content in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        before = take_stock(folder)
        run = run_forked(command.fill_in(str(seed.folder)), folder)
        complaints = [*list_complaints(command, run, folder, before)]
        if command.name == "patch apply" and run.code == 0:
            complaints += list_broken_promises(folder)
    return run, tuple(complaints)


def _keep(files: Mapping[str, bytes], errors: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "stderr.txt").write_text(errors, "utf-8", "backslashreplace")
