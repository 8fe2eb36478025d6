"""Whole networks from two exporters: are they lowered, and do they compute and learn the same?"""

import json
import logging
import multiprocessing
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime as ort
import torch
from rich.progress import track
from torch import Tensor, nn

from architectures.examples import EXAMPLES, export_example, make_example, make_images
from nhle_onnx.errors import first_line
from nhle_onnx.graph.load import load_model
from nhle_onnx.lowering.module import LoweredModel, lower_model
from studies.converters import (
    OTHERS,
    TOLERANCE,
    Reference,
    backpropagate,
    compare_norms,
    count_parameters,
    measure_module,
)
from studies.results import write_results
from studies.tables import make_table, pick_rows
from tools.whole_models_page import OURS, describe, list_failures, summarise, summarise_exporter

EXPORTERS = ("legacy-11", "legacy-13", "legacy-17", "legacy-20", "dynamo-18", "dynamo")
BIASES = ("zero", "random")
BATCH, OTHER_BATCH = 3, 5


@click.command("whole-models")
@click.option("--network", "networks", multiple=True, type=click.Choice(list(EXAMPLES)))
@click.option(
    "--others", type=click.Path(path_type=Path), help="A folder with the other converters."
)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
def whole_models(networks: Sequence[str], others: Path | None, workers: int) -> None:
    """Lower every network from every exporter, and compare with onnx2torch and onnx2pytorch.

    These are installed by hand: pip install --no-deps --target FOLDER onnx2torch onnx2pytorch
    """
    names = networks or [name for name in EXAMPLES if name != "inceptionv3"]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=keep_quiet) as pool:
        tasks = [pool.submit(measure_network, name, others) for name in names]
        rows = [row for task in track(tasks, description="lowering") for row in task.result()]
    table = make_table([summarise(name, pick_rows(rows, network=name)) for name in names])
    exporters = make_table([summarise_exporter(rows, exporter) for exporter in EXPORTERS])
    body = f"{describe(rows, table, exporters)} {list_versions(others)}"
    write_results("whole_models", "Whole networks from two exporters", body, rows)
    click.echo(f"{table}\n\n{exporters}\n\n{list_failures(rows)}")


def keep_quiet() -> None:
    """Silence exporters and ONNX Runtime, which also print from native code."""
    warnings.simplefilter("ignore")
    logging.disable()
    torch.set_num_threads(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def measure_network(name: str, others: Path | None) -> list[dict[str, Any]]:
    """Measure a row for each export of one network."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for biases in BIASES for row in measure_exports(name, biases, Path(folder))]
        of_others = run_others(Path(folder), others)
    return [row | of_others.get(f"{row['exporter']}.{row['biases']}", {}) for row in rows]


def measure_exports(name: str, biases: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Export a network with each exporter, and measure our module for each file."""
    network = make_example(name, has_biases=biases == "random")
    batch, images = make_images(name, BATCH), make_images(name, OTHER_BATCH)
    labels = torch.arange(OTHER_BATCH)
    doubled = deepcopy(network)
    gradient = backpropagate(doubled, images, labels)
    if gradient is None:
        message = f"{name} does not depend on its images"
        raise ValueError(message)
    for exporter in EXPORTERS:
        path = folder / f"{exporter}.{biases}.onnx"
        row: dict[str, Any] = {"network": name, "exporter": exporter, "biases": biases}
        row |= {"exported": False, "network parameters": count_parameters(network)}
        try:
            export_example(network, batch, exporter, path)
            session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
            logits = session.run(["logits"], {"image": images.numpy()})[0]
        except Exception as error:  # noqa: BLE001 - exporters raise errors of any type
            path.unlink(missing_ok=True)
            row["reason"] = first_line(error)[:200]
            yield row
            continue
        reference = Reference(
            images=images.numpy(),
            labels=labels.numpy(),
            logits=logits,
            gradient=gradient.numpy(),
        )
        np.savez(path.with_suffix(".npz"), **reference._asdict())
        yield {**row, "exported": True, OURS: measure_ours(path, doubled, reference)}


def measure_ours(path: Path, network: nn.Module, reference: Reference) -> dict[str, Any]:
    """Measure as for other converters; gradients of parameters with kept names must match, too."""
    found: list[LoweredModel] = []

    def convert() -> nn.Module:
        found.append(lower_model(load_model(path), source="image", output="logits"))
        return found[0].module

    row = measure_module(convert, reference)
    if "gradient difference" in row:
        differences = compare_parameters(found[0], network, onnx.load(path))
        row["named parameters"] = len(differences)
        row["parameter gradient difference"] = max(differences.values(), default=0.0)
        row["gradients"] &= row["parameter gradient difference"] <= TOLERANCE
    return row


def compare_parameters(
    lowered: LoweredModel, network: nn.Module, proto: onnx.ModelProto
) -> dict[str, float]:
    """Compare the gradients of tensors that kept parameter names.

    Exporters merge equal tensors. If Identity nodes keep the names, a merged tensor's gradient is
    the sum of its parameters' gradients; otherwise its parameters are unknown, and it is left out.
    """
    merged = {
        node.output[0]: node.input[0] for node in proto.graph.node if node.op_type == "Identity"
    }
    gradients: dict[str, Tensor] = {}
    lost: list[Tensor] = []
    for name, parameter in network.named_parameters():
        source = follow(name, merged)
        tensor = lowered.parameter_of.get(source)
        if tensor is None or not torch.equal(tensor, parameter):
            lost.append(parameter)
        elif parameter.grad is not None:
            gradients[source] = gradients.get(source, 0) + parameter.grad
    return {
        name: compare_norms(lowered.parameter_of[name].grad, gradient)
        for name, gradient in gradients.items()
        if not any(torch.equal(lowered.parameter_of[name], other) for other in lost)
    }


def follow(name: str, merged: dict[str, str]) -> str:
    """Return the tensor behind Identity nodes."""
    while name in merged:
        name = merged[name]
    return name


def run_others(folder: Path, others: Path | None) -> dict[str, dict[str, Any]]:
    """Return the other converters' rows for a folder of exports, measured in another process."""
    path = os.pathsep.join(filter(None, [str(others or ""), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "studies.converters", str(folder)]
    result = subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": path}
    )
    rows: dict[str, dict[str, Any]] = json.loads(result.stdout)
    return rows


def list_versions(folder: Path | None) -> str:
    """Return the other converters' versions as a sentence."""
    found = distributions(path=[str(folder)] if folder else sys.path)
    return (
        f"{', '.join(f'{other.name} {other.version}' for other in found if other.name in OTHERS)}."
    )
