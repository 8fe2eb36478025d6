"""The commands themselves on the card, as a user runs them."""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.cuda.inference import EVALUATION, MODELS, SAMPLES
from benchmarks.cuda.place import REST, Place, fail, judge, skip, tell
from studies.results import ROOT
from studies.tables import Row

_PATIENCE_S = 150
_FOLDERS = re.compile(r"(?<![^\s\"'])/(?:[^\s/]+/)*(?=[^\s/])")
DETECTOR = ROOT / "models" / "yolo_tiny_fashion_scenes" / "model.onnx"
SCENES = ROOT / "calibration_samples" / "fashion_scenes"


class _Run(NamedTuple):
    """A command that has ended. `report` is the JSON that it printed, or empty."""

    code: int
    elapsed_s: float
    report: dict[str, Any]
    complaint: str


def run_commands(place: Place) -> Iterator[Row]:
    """Run `doctor`, `unlearn` and `verify` on the card; the last `verify` uses the CPU as well."""
    name = MODELS[place.choose(1, 0)]
    model = str(ROOT / "models" / name / "model.onnx")
    where = ["--provider", place.name]
    checks = ["--quiet", "--forget", "3", "--data", str(EVALUATION)]
    yield from _show(["doctor", "--quiet", *where, "--device", place.name], 0)
    yield from _show(["verify", model, *checks, *where], 1)  # it remembers the class
    if place.is_dry:
        yield skip("`unlearn`", "a dry run")
        return
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "new.onnx")
        yield from _show(_write_unlearn(model, out, place), 0)
        both = [*where, "--provider", "cpu", "--baseline", model]
        yield from _show(["verify", out, *checks, *both], 0)


def run_audit(place: Place) -> Iterator[Row]:
    """Run `audit` on the card, whose attacks train there."""
    if place.is_dry:
        yield skip("`audit`", "a dry run")
        return
    model = str(ROOT / "models" / MODELS[0] / "model.onnx")
    where = ["--provider", place.name, "--device", place.name]
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "new.onnx")
        yield from _show(_write_unlearn(model, out, place), 0)
        attack = ["audit", out, "--quiet", "--forget", "3", "--baseline", model]
        on_cpu = [*attack, "--data", str(EVALUATION), "--provider", "cpu", "--device", "cpu"]
        code = _run(on_cpu).code  # whatever the verdict is, the card must give the same
        yield from _show([*attack, "--data", str(EVALUATION), *where], code)


def run_detector(place: Place) -> Iterator[Row]:
    """Forget a class of a detector on the card and on the CPU, and attack what the card made."""
    if place.is_dry:
        yield skip("a detector", "a dry run")
        return
    model, where = str(DETECTOR), ["--provider", place.name, "--device", place.name]
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "new.onnx")
        command = ["unlearn", model, "--quiet", "--forget", "Bag", "--samples", str(SCENES)]
        command += ["--steps", "60"]
        on_cpu = [*command, "--provider", "cpu", "--device", "cpu", "--out", f"{out}.onnx"]
        yield from _show([*command, *where, "--out", out], _run(on_cpu).code)
        if not Path(out).exists():
            yield fail(REST, "there is no edited detector")
            return
        checks = ["--quiet", "--forget", "Bag", "--baseline", model]
        checks += ["--data", str(SCENES / "evaluation")]
        for name in ("verify", "audit"):
            there = where if name == "audit" else where[:2]
            same = [each.replace(place.name, "cpu") for each in there]
            code = _run([name, out, *checks, *same]).code
            yield from _show([name, out, *checks, *there], code)


def _write_unlearn(model: str, out: str, place: Place) -> list[str]:
    command = ["unlearn", model, "--quiet", "--forget", "3", "--samples", str(SAMPLES)]
    return [*command, "--out", out, "--provider", place.name, "--device", place.name]


def _show(arguments: list[str], code: int) -> Iterator[Row]:
    done = _run([*arguments, "--json"])
    name = f"`{shorten_paths(' '.join(arguments))}`"
    yield judge(f"{name}: exit code", done.code, "=", code)
    if done.complaint:
        yield tell(f"{name}: said", done.complaint)
    yield judge(f"{name}: warnings of libraries", done.complaint.count("Warning:"), "=", 0)
    yield tell(f"{name}: seconds", done.elapsed_s)
    ap = (done.report.get("after") or {}).get("ap_f")
    if ap is not None:
        yield tell(f"{name}: AP_F", ap)
    for place in done.report.get("providers", []) if arguments[0] == "verify" else ():
        figures = place["accuracy"]
        yield tell(
            f"{name}: Acc_F, Acc_R by {place['provider']}",
            f"{figures['acc_f']:.4f}, {figures['acc_r']:.4f}",
        )


def shorten_paths(text: str) -> str:
    """Name files without their folders, which are temporary or this machine's."""
    return _FOLDERS.sub("", text)


def _run(arguments: list[str]) -> _Run:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "nhle_onnx", *arguments],
        check=False, capture_output=True, text=True, timeout=_PATIENCE_S,
    )  # fmt: skip
    elapsed_s = time.perf_counter() - start
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = {}
    return _Run(
        done.returncode, elapsed_s, report, shorten_paths(" ".join(done.stderr.split()))[-600:]
    )
