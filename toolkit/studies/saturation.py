"""Quantized models by exact sums and by default kernels, here and where those saturate."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import onnx

from studies.exporters.measure import JUDGED
from studies.formats import FORMATS
from studies.options import cache_option
from studies.processors import BY_KEY
from studies.quantized_subjects import NETWORKS, make_given, open_shipped
from studies.results import ROOT, write_results
from studies.strangers.run import read_pool
from studies.tables import Row, make_table

NAME = "saturation"
IMAGES = 300
_LITE = "tflite-int8"
_PROBE = Path(__file__).with_name("saturation_probe.py")
_BODY = (
    "Accuracy on {images} evaluation images, without unlearning, by exact sums of 8-bit products "
    "(which decide in `unlearn`, `verify` and `audit`) and by ONNX Runtime's default kernels: on "
    "this machine, and on an x86 with AVX2 but without VNNI, emulated by QEMU, where sums of "
    "uint8 × int8 products saturate. Where the last two columns differ, a report has both, and "
    "says that this processor saturates. The formats are those of "
    "[quantized models](quantized.md), and TFLite's full INT8 by tf2onnx, from the files of "
    "[exporters](exporters.md).\n\n{table}\n\n{counted}"
)


@click.command(NAME)
@click.option(
    "--network", "networks", multiple=True, type=click.Choice(list(NETWORKS)), default=NETWORKS
)
@cache_option
def saturation(networks: Sequence[str], cache: Path) -> None:
    """Measure every quantized format where default kernels saturate, and here."""
    if not shutil.which("qemu-x86_64"):
        message = "this needs QEMU's user mode: apt-get install qemu-user"
        raise click.ClickException(message)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shipped(folder, networks)
        write_lite(folder, cache / "exporters")
        own, other = (probe(key, folder) for key in ("own", "haswell"))
    rows = [make_row(key, own[key], other[key]) for key in own]
    table = make_table(rows)
    click.echo(table)
    body = _BODY.format(images=IMAGES, table=table, counted=count_moved(rows))
    write_results(NAME, "Sums that saturate", body, rows)


def write_shipped(folder: Path, networks: Sequence[str]) -> None:
    """Write each network in each format, with evaluation images."""
    for network in networks:
        evaluation = open_shipped(network).evaluation
        chosen = np.linspace(0, len(evaluation.indices) - 1, IMAGES).astype(int).tolist()
        images, labels = evaluation.read(chosen), evaluation.classes[chosen]
        for name in FORMATS:
            path = folder / f"{network} {name}.onnx"
            onnx.save(make_given(network, name), path)
            np.savez(path.with_suffix(".npz"), x=images, y=labels)


def write_lite(folder: Path, exported: Path) -> None:
    """Copy TFLite's models, if `studies exporters` has made them."""
    for path in sorted(exported.glob(f"Keras-3/*/{_LITE}.onnx")):
        pool = read_pool(exported / "test.npz")
        copied = folder / f"{path.parent.name} {_LITE}.onnx"
        shutil.copy(path, copied)
        chosen = slice(JUDGED - IMAGES, JUDGED)
        np.savez(
            copied.with_suffix(".npz"), x=pool.inputs[chosen, ..., None], y=pool.labels[chosen]
        )


def probe(key: str, folder: Path) -> dict[str, dict[str, float]]:
    """Measure each file on a processor."""
    command = [str(BY_KEY[key].prepare()), str(_PROBE), str(folder)]
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise click.ClickException(done.stderr)
    figures: dict[str, dict[str, float]] = json.loads(done.stdout)
    return figures


def make_row(key: str, own: dict[str, float], other: dict[str, float]) -> Row:
    """Make a row of a model's figures on both processors."""
    network, name = key.split(" ")
    return {
        "network": network,
        "format": name,
        "here, exact": own["exact"],
        "here, default": own["default"],
        "without VNNI, exact": other["exact"],
        "without VNNI, default": other["default"],
    }


def count_moved(rows: Sequence[Row]) -> str:
    """Count models that answer differently where sums saturate, and those with equal exact sums."""
    moved = sum(row["without VNNI, default"] != row["without VNNI, exact"] for row in rows)
    equal = sum(row["here, exact"] == row["without VNNI, exact"] for row in rows)
    counted = (
        f"{moved} of {len(rows)} models have another accuracy by default kernels that saturate. By "
        f"exact sums, {equal} of {len(rows)} have the same on both processors."
    )
    if all(row["here, default"] == row["here, exact"] for row in rows):
        return counted
    same = sum(row["here, default"] == row["without VNNI, default"] for row in rows)
    return (
        f"{counted} This machine saturates as well; by default kernels, {same} of {len(rows)} have "
        "the accuracy that the emulation shows."
    )
