"""The tool itself in a comparison, on an ONNX export of the task's network."""

import copy
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.report import UnlearnReport
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.workflows.observer import Silence, Stopwatch
from nhle_onnx.workflows.plan import plan_unlearning
from nhle_onnx.workflows.unlearn import carry_out
from studies.tasks import Task

DEFAULTS = UnlearnOptions()


class ToolRun(NamedTuple):
    """The network with the tool's weights, and the tool's report."""

    network: nn.Module
    report: UnlearnReport


def unlearn_with_tool(task: Task) -> nn.Module:
    """Unlearn with the tool's defaults; the returned network has no BatchNorm."""
    return run_tool(task).network


def run_tool(task: Task, options: UnlearnOptions = DEFAULTS) -> ToolRun:
    """Export, unlearn as the command does, and load the edited weights; uses anchors if any."""
    network = fold_batch_norm(task.network)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export(network, task, folder / "model.onnx")
        write_samples(task, folder / "samples.npz")
        settings = UnlearnSettings(
            model=folder / "model.onnx",
            forget=tuple(map(str, task.forgotten)),
            flags=ModelFlags(),
            samples=folder / "samples.npz",
            data=folder / "samples.npz",
            force_unknown=True,  # the anchors' labels are made up, see `write_samples`
            options=replace(options, seed=task.seed, samples_per_class=len(task.forget) + 10_000),
        )
        watch = Stopwatch(Silence())
        report = carry_out(plan_unlearning(settings, watch), watch)
        load_weights(network, settings.edited_path)
    return ToolRun(network, report)


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Return a copy with each BatchNorm folded into the convolution before it, as exporters do."""
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if isinstance(module, nn.Sequential):
            _fold_sequence(module)
    return folded


def export(network: nn.Module, task: Task, path: Path) -> None:
    """Write ONNX whose tensors have the names of the network's parameters."""
    torch.onnx.export(
        network, (task.forget[:2],), path, dynamo=False, opset_version=17, verbose=False,
        input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )  # fmt: skip


def write_samples(task: Task, path: Path) -> None:
    """Write the task's data as model inputs; all anchors have the same label, which is not used."""
    anchors = torch.full((len(task.anchors),), task.kept[0])
    inputs = torch.cat([task.forget, task.anchors]).numpy()
    labels = torch.cat([task.forget_labels, anchors]).numpy()
    np.savez(path, x=inputs.astype(np.float32), y=labels.astype(np.int64))


def load_weights(network: nn.Module, path: Path) -> None:
    """Load every tensor of an ONNX file that has a parameter's name."""
    tensors = {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}
    parameters = dict(network.named_parameters())
    missing = parameters.keys() - tensors.keys()
    if missing:
        message = f"the export lacks {', '.join(sorted(missing))}"
        raise ValueError(message)
    for name, parameter in parameters.items():
        parameter.data = torch.tensor(numpy_helper.to_array(tensors[name]))


def _fold_sequence(sequence: nn.Sequential) -> None:
    layers: list[Any] = list(sequence)
    for index, (first, second) in enumerate(pairwise(layers)):
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            sequence[index] = fuse_conv_bn_eval(first, second)
            sequence[index + 1] = nn.Identity()
