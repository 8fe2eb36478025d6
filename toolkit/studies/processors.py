"""8-bit numbers on other processors, emulated by QEMU.

The processors are this machine's, an x86 with AVX2 but without VNNI, whose kernels saturate, and an
ARM64 with dot products. Each runs the tests of integers, and `verify` of the shipped INT8 model
before and after it forgot, as in the README.
"""

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from studies.results import ROOT, write_results
from studies.tables import make_table

NAME = "processors"
KEPT = ROOT / ".cache" / NAME
MODEL = ROOT / "models" / "mobilenetv3_small_int8_fashion_mnist" / "model.onnx"
DATA = ROOT / "calibration_samples" / "fashion_mnist" / "evaluation.npz"
FORGET = "3"
HASWELL = "Haswell,-pcid,-x2apic,-tsc-deadline,-hle,-invpcid,-rtm"  # what QEMU lacks is off
TESTS = (
    "tests/unit/runtime/test_kernels.py",
    "tests/unit/lowering/test_between_quantizers.py",
    "tests/unit/lowering/test_quantized_functions.py",
    "tests/unit/lowering/test_quantized_kernels.py",
    "tests/unit/lowering/test_quantized_layers.py",
    "tests/unit/lowering/test_quantized_training.py",
    "tests/unit/lowering/test_quantizers.py",
    "tests/unit/graph/test_stored_numbers.py",
    "tests/unit/lowering/test_weights_alone.py",
)
SHIPPED = "tests/shipped/test_shipped.py"
ALSO_SHIPPED = "accuracy_on_the_shipped_images"
FIGURES = {"Acc_F": "acc_f", "Acc_R": "acc_r"}
PROBE = "from nhle_onnx.runtime.kernels import saturates; print(saturates())"
BODY = """
`saturates`: ONNX Runtime's default kernels clip sums of uint8 × int8 there. `tests`: passed tests
of layers, kernels and shipped models in integers. The other rows are figures of `verify` for the
shipped INT8 model, before and after it forgot class 3 on the first processor: exact figures, which
decide, and those of the processor's default kernels (`default`) where they differ. The command
fails if exact figures differ between processors.

Tests compare with integer sums in NumPy, and with ONNX Runtime where its sums are exact. QEMU does
not emulate x86 with AVX-512 but without VNNI, so that is not in the table.
"""


class Processor(NamedTuple):
    """A kind of processor, and a function that prepares a Python for it."""

    key: str
    name: str
    prepare: Callable[[], Path]


def _prepare_own() -> Path:
    return Path(sys.executable)


def _prepare_haswell() -> Path:
    """Prepare a Python under QEMU whose executable is its wrapper: children are emulated too."""
    folder = KEPT / "haswell"
    folder.mkdir(parents=True, exist_ok=True)
    wrapper = folder / "python"
    (folder / "sitecustomize.py").write_text(f"import sys\n\nsys.executable = {str(wrapper)!r}\n")
    wrapper.write_text(
        f"#!/bin/sh\nexport PYTHONPATH={shlex.quote(str(folder))}\n"
        f'exec qemu-x86_64 -cpu {HASWELL} {shlex.quote(sys.executable)} "$@"\n'
    )
    wrapper.chmod(0o755)
    return wrapper


def _prepare_arm64() -> Path:
    root = KEPT / "arm64"
    python = root / "usr" / "bin" / "python"
    if not python.exists():
        shutil.rmtree(root, ignore_errors=True)
        script = Path(__file__).with_name("arm64.sh")
        subprocess.run(["bash", script, ROOT, root], check=True)  # noqa: S607 - bash, as it is found
    return python


PROCESSORS = (
    Processor("own", "this machine's", _prepare_own),
    Processor("haswell", "x86 with AVX2, no VNNI (QEMU, Haswell)", _prepare_haswell),
    Processor("arm64", "ARM64 with dot products (QEMU, max)", _prepare_arm64),
)
BY_KEY = {processor.key: processor for processor in PROCESSORS}


@click.command(NAME)
@click.option(
    "--only", type=click.Choice(list(BY_KEY)), multiple=True, help="Run on these processors only."
)
@click.option("--unlearn", is_flag=True, help="Also train on each; takes minutes if emulated.")
def processors(only: tuple[str, ...], *, unlearn: bool) -> None:
    """Run the tests of integers, and the shipped INT8 model, on processors of other kinds."""
    _check_machine()
    chosen = [BY_KEY[name] for name in only or BY_KEY]
    edited = _unlearn(Path(sys.executable), KEPT / "edited.onnx")[0]
    rows = [_examine(processor, edited, unlearn=unlearn) for processor in chosen]
    table = make_table(_turn(rows))
    click.echo(table)
    if not only:
        write_results(NAME, "8-bit numbers on other processors", f"{table}\n{BODY}", rows)
    _check(rows)


def _check_machine() -> None:
    if platform.machine() != "x86_64" or not shutil.which("qemu-x86_64"):
        message = "this needs an x86 machine with QEMU's user mode: apt-get install qemu-user"
        raise click.ClickException(message)


def _examine(processor: Processor, edited: Path, *, unlearn: bool) -> dict[str, Any]:
    click.echo(f"{processor.name} …", err=True)
    python = processor.prepare()
    report = _verify(python, edited)
    other = (report["other_kernels"] or {}).get("accuracies", {})
    row: dict[str, Any] = {
        "processor": processor.name,
        "saturates": _run(python, "-c", PROBE).stdout.strip() == "True",
        "tests": _count_tests(python),
        "verdict": "PASSED" if all(map(_is_passed, report["checks"])) else "FAILED",
    }
    for when in ("before", "after"):
        row |= _name_figures(when, report[when])
        row |= _name_figures(f"{when}, default", other.get(when, {}))
    row["unmasked Acc_F"] = report["unmasked"]["acc_f"]
    if unlearn:
        made = _unlearn(python, KEPT / f"edited.{processor.key}.onnx")[1]
        row["unlearned there"] = "PASSED" if all(map(_is_passed, made["checks"])) else "FAILED"
        row["steps"] = made["method"]["steps_run"]
        row["Acc_R of that"] = made["after"]["acc_r"]
    return row


def _name_figures(when: str, accuracy: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{when}: {name}": accuracy.get(key, "") for name, key in FIGURES.items()}


def _is_passed(check: Mapping[str, Any]) -> bool:
    value, limit = check["value"], check["limit"]
    return bool(value <= limit if check["better"] == "lower" else value >= limit)


def _verify(python: Path, edited: Path) -> dict[str, Any]:
    flags = ("--forget", FORGET, "--data", DATA, "--baseline", MODEL, "--json", *_beside())
    report: dict[str, Any] = json.loads(
        _run(python, "-m", "nhle_onnx", "verify", edited, *flags).stdout
    )
    return report


def _unlearn(python: Path, out: Path) -> tuple[Path, dict[str, Any]]:
    out.parent.mkdir(parents=True, exist_ok=True)
    flags = ("--forget", FORGET, "--out", out, "--force", "--json")
    done = _run(python, "-m", "nhle_onnx", "unlearn", MODEL, *flags)
    return out, json.loads(done.stdout)


def _beside() -> tuple[str, ...]:
    """Return flags for labels and preprocessing, which lie beside the original."""
    labels, preprocess = (
        MODEL.with_name(name) for name in ("labels.txt", "preprocessor_config.json")
    )
    return ("--labels", str(labels), "--preprocess", str(preprocess))


def _turn(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Transpose to a row for each figure, and a column for each processor."""
    figures = [name for name in rows[0] if name != "processor"]
    return [{"": name} | {row["processor"]: row[name] for row in rows} for name in figures]


def _count_tests(python: Path) -> str:
    passed = found = 0
    for paths in ((*TESTS,), (SHIPPED, "-k", ALSO_SHIPPED)):
        done = _run(python, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *paths)
        counts = {
            word: int(count)
            for count, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout)
        }
        passed += counts.get("passed", 0)
        found += sum(counts.values())
    return f"{passed} of {found}"


def _run(python: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(python), *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )


def _check(rows: list[dict[str, Any]]) -> None:
    """Check that exact figures are the same everywhere, and that every test passed."""
    exact = {
        tuple(value for key, value in row.items() if key.startswith(("before:", "after:")))
        for row in rows
    }
    is_whole = all(len(set(row["tests"].split(" of "))) == 1 for row in rows)
    if len(exact) != 1 or not is_whole:
        message = "exact figures differ between processors" if is_whole else "tests fail"
        raise click.ClickException(message)
