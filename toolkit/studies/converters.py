"""From an ONNX file to a torch module, by this tool and by other converters, all measured alike.

As a program, it measures the other converters on a folder of exports, in a process that has them on
its path.
"""

import importlib
import json
import statistics
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from nhle_onnx.errors import first_line

OTHERS = ("onnx2torch", "onnx2pytorch")
TOLERANCE = 1e-3  # of the largest logit, and of a gradient's norm
# What the other converters import from torchvision, for detection operators unused by classifiers.
TORCHVISION = {
    "torchvision": (),
    "torchvision.ops": ("box_convert", "deform_conv2d", "nms", "roi_align", "roi_pool"),
    "torchvision.io": ("decode_image", "ImageReadMode"),
}


class Reference(NamedTuple):
    """The expected results for a batch of images [N, C, H, W].

    `logits` [N, K] are ONNX Runtime's for the export; the gradient is the original network's, in
    double precision, of the cross-entropy with `labels` [N].
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]
    gradient: npt.NDArray[np.float64]


def measure_module(convert: Callable[[], nn.Module], reference: Reference) -> dict[str, Any]:
    """Measure whether a conversion succeeds, and how far the module differs from the reference."""
    row: dict[str, Any] = {"converts": False, "agrees": False, "gradients": False}
    try:
        module = convert().eval()
        row["converts"] = True
        row["parameters"] = count_parameters(module)
        images = torch.from_numpy(reference.images)
        with torch.no_grad():
            logits = get_logits(module(images)).numpy()
        row["difference"] = compare_logits(logits, reference.logits)
        row["agrees"] = row["difference"] <= TOLERANCE
        gradient = backpropagate(module, images, torch.from_numpy(reference.labels))
        row["gradient difference"] = compare_images(gradient, torch.tensor(reference.gradient))
        row["gradients"] = row["gradient difference"] <= TOLERANCE
    except Exception as error:  # noqa: BLE001 - any error of a converter is its result
        row["reason"] = f"{type(error).__name__}: {first_line(error)[:200]}"
    return row


def backpropagate(module: nn.Module, images: Tensor, labels: Tensor) -> Tensor | None:
    """Return the cross-entropy's gradient for the images; parameters hold theirs in `grad`. In
    double precision, rounding moves hardly any pre-activation across a ReLU's kink.
    """
    doubled = images.detach().double().requires_grad_()
    functional.cross_entropy(get_logits(module.double()(doubled)), labels).backward()
    return doubled.grad


def count_parameters(module: nn.Module) -> int:
    """Count the numbers that an optimizer would train."""
    return sum(value.numel() for value in module.parameters() if value.requires_grad)


def get_logits(outputs: Any) -> Tensor:  # noqa: ANN401 - converters differ in what they return
    """Return the first output."""
    logits: Tensor = outputs[0] if isinstance(outputs, list | tuple) else outputs
    return logits


def compare_logits(computed: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """Return the largest difference, relative to the largest logit; infinite if shapes differ."""
    if computed.shape != expected.shape:
        return float("inf")
    return float(np.abs(computed - expected).max() / np.abs(expected).max())


def compare_images(computed: Tensor | None, expected: Tensor) -> float:
    """Return what `compare_norms` finds for the median image: folding batch normalisation rounds,
    which moves a ReLU of one image in many across its kink.
    """
    if computed is None:
        return float("inf")
    return statistics.median(map(compare_norms, computed, expected))


def compare_norms(computed: Tensor | None, expected: Tensor) -> float:
    """Return the norm of the difference, relative to the expected norm."""
    if computed is None:
        return float("inf")
    return float((computed - expected).norm() / expected.norm())


def measure_other(name: str, path: Path, reference: Reference) -> dict[str, Any]:
    """Measure one other converter on one file."""
    library = importlib.import_module(name)
    if name == "onnx2torch":
        return measure_module(lambda: library.convert(str(path)), reference)
    return measure_module(lambda: library.ConvertModel(onnx.load(path)), reference)


def stub_torchvision() -> None:
    """Put empty modules in torchvision's place, unless it is installed."""
    if importlib.util.find_spec("torchvision"):
        return
    for module, names in TORCHVISION.items():
        stub = types.ModuleType(module)
        stub.__dict__.update(dict.fromkeys(names))
        sys.modules[module] = stub


def main(folder: Path) -> None:
    """Print as JSON the row of each installed converter for each export in the folder."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    installed = [name for name in OTHERS if importlib.util.find_spec(name)]
    stub_torchvision()
    rows = {}
    for path in sorted(folder.glob("*.onnx")):
        with np.load(path.with_suffix(".npz")) as arrays:
            reference = Reference(**arrays)
        rows[path.stem] = {name: measure_other(name, path, reference) for name in installed}
    sys.stdout.write(json.dumps(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
