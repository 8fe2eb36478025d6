"""Commands to kill: what each reads, what it writes, and how to tell that an output is whole."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from support.shipped import EVALUATION, LENET, SAMPLES
from support.signing_keys import write_pair
from support.whole_outputs import choose_check

STEPS = 10  # of training, after which a gate may fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command of the program. `checks` holds, by the names of its outputs in the folder where it
    runs, how to tell that one is whole. `inputs` it must leave alone; `old` lies in the outputs'
    places when it starts. It takes `run_s`, and ends with the exit code `code`.
    """

    name: str
    arguments: tuple[str, ...]
    inputs: tuple[Path, ...]
    checks: Mapping[str, Callable[[Path], bool]]
    run_s: float = 0.0
    code: int = 0
    old: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        """The whole command line."""
        return [sys.executable, "-m", "nhle_onnx", *self.arguments]


def make_jobs(folder: Path) -> Iterator[Job]:
    """All commands, those that only read last, each run to its end first, in its own folder."""
    inputs = folder / "inputs"
    shutil.copytree(LENET.parent, inputs)
    model = inputs / "model.onnx"
    private, public = write_pair(inputs)

    def make(name: str, *arguments: object, old: Path | None = None) -> Job:
        texts = tuple(map(str, arguments))
        return _try(name, texts, folder / name, inputs, _read_all(old) if old else {}, public)

    flags = ("--forget", "3", "--samples", SAMPLES, "--quiet", "--out", "edited.onnx")
    unlearn = ("unlearn", model, *flags)
    masking = make("unlearn --method cwm", *unlearn, "--method", "cwm")
    yield masking
    masked = folder / masking.name
    edited, report = (
        Path(shutil.copy(path, inputs))
        for path in sorted(masked.iterdir())
        if "report" in path.name or path.suffix == ".onnx"
    )
    yield make("patch create", "patch", "create", model, edited, "-o", "made.nhlepatch")
    patch = shutil.copy(folder / "patch create" / "made.nhlepatch", inputs)
    yield make("patch apply", "patch", "apply", model, patch, "-o", "made.onnx")
    yield make("sign", "sign", edited, report, "--key", private, "-o", "made.sig")
    yield make("patch apply --also ort", "patch", "apply", model, patch, "-o", "made.onnx",
               "--also", "ort")  # fmt: skip
    data = EVALUATION
    yield make("kit", "kit", edited, "--forget", "3", "--data", data, "-o", "made.zip", "--quiet")
    training = (*unlearn, "--steps", STEPS)
    yield make("unlearn", *training)
    yield make("unlearn --force", *training, "--force", old=masked)
    few, case, fleet = _write_more(inputs, edited)
    judged = (edited, "--baseline", model, "--forget", "3", "--data", few, "--quiet", "--report")
    yield make("verify", "verify", *judged, "page.html")
    yield make("audit", "audit", *judged, "report.xml", "--effort", "fast", "--repeats", "1")
    yield make("push", "push", edited, "--to", "oci:layout")
    yield make("dossier", "dossier", case, "-o", "dossier.zip")
    yield make("fleet", "fleet", fleet, "--jobs", "1", "-o", "results")
    signature = shutil.copy(folder / "sign" / "made.sig", inputs)
    yield make("check-signature", "check-signature", edited, report, "--key", public,
               "--signature", signature)  # fmt: skip
    yield make("inspect", "inspect", model, "--data", few)
    yield make("diff", "diff", model, edited)
    yield make("patch inspect", "patch", "inspect", patch)
    yield make("doctor", "doctor")


def _write_more(folder: Path, edited: Path) -> tuple[Path, Path, Path]:
    """A few images, a dossier's case, and a fleet of one job."""
    few, case, fleet = (folder / name for name in ("few.npz", "case.toml", "fleet.toml"))
    samples = np.load(EVALUATION)
    np.savez(few, x=samples["x"][::40], y=samples["y"][::40])
    case.write_text(
        '[request]\nid = "1"\nreceived = 2026-01-01\ncompleted = 2026-01-02\nforget = 3\n'
        f'[files]\nedited = "{edited.name}"\nunlearn = "{edited.stem}.report.json"\n'
        '[[signed_by]]\nname = "A"\nrole = "B"\ndate = 2026-01-02\n'
    )
    fleet.write_text(
        f'[[job]]\nmodel = "model.onnx"\nforget = 3\nmethod = "cwm"\nsamples = "{SAMPLES}"\n'
        'data = "few.npz"\n'
    )
    return few, case, fleet


def _read_all(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _try(
    name: str,
    arguments: tuple[str, ...],
    folder: Path,
    inputs: Path,
    old: Mapping[str, bytes],
    public: Path,
) -> Job:
    """Run a command to its end, and take what it wrote for what is right."""
    folder.mkdir()
    for output, content in old.items():
        (folder / output).write_bytes(content)
    given = tuple(path for path in inputs.iterdir() if path.is_file())
    job = Job(name=name, arguments=arguments, inputs=given, checks={}, old=old)
    start = time.perf_counter()
    done = subprocess.run(job.command, cwd=folder, check=False, capture_output=True)
    run_s = time.perf_counter() - start
    checks = {
        path.name: choose_check(path, old.get(path.name), arguments, public)
        for path in folder.iterdir()
    }
    return replace(job, checks=checks, run_s=run_s, code=done.returncode)
