"""Commands to kill: what each reads, what it writes, and how to tell that an output is whole."""

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.release.signature import check_signature
from nhle_onnx.values.signature import TrustedKey
from support.shipped import EVALUATION, LENET, SAMPLES
from support.signing_keys import write_pair

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
    """Commands that write files. Each is first run to its end, in a folder of its own."""
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
        shutil.copy(path, inputs)
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


def _read_all(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def digest_file(path: Path) -> str:
    """SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
        path.name: _choose_check(path, old.get(path.name), arguments, public)
        for path in folder.iterdir()
    }
    return replace(job, checks=checks, run_s=run_s, code=done.returncode)


def _choose_check(
    made: Path, old: bytes | None, arguments: tuple[str, ...], public: Path
) -> Callable[[Path], bool]:
    """Reports tell the time and signatures are random; all else is the same bytes each time."""
    if made.name.endswith(".report.json"):
        return describes_model
    if made.suffix == ".sig":
        signed = [Path(name) for name in arguments[1:3]]
        return partial(_is_signature, signed, TrustedKey(public_key=public))
    if made.suffix == ".ort":
        return is_runnable
    digests = {digest_file(made), hashlib.sha256(old).hexdigest() if old else ""}
    return lambda path: digest_file(path) in digests


def is_runnable(converted: Path) -> bool:
    """Whether ONNX Runtime opens a file of its own format, whose bytes vary."""
    import onnxruntime as ort  # noqa: PLC0415 - slow, and one job needs it

    try:
        return bool(ort.InferenceSession(converted, providers=["CPUExecutionProvider"]))
    except Exception:  # noqa: BLE001 - of whatever kind
        return False


def describes_model(report: Path) -> bool:
    """Whether a report is whole, and that of the model beside it."""
    try:
        promised = json.loads(report.read_text("utf-8"))["edited"]
        return bool(digest_file(report.with_name(promised["path"])) == promised["sha256"])
    except (OSError, ValueError, KeyError):
        return False


def _is_signature(signed: list[Path], trusted: TrustedKey, path: Path) -> bool:
    try:
        check_signature(signed, path, trusted)
    except InputRefusedError:
        return False
    return True
