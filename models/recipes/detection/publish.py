"""From a trained detector to a folder that can be shipped: model, labels, preprocessing, card."""

import hashlib
import json
import platform
from pathlib import Path

import onnx
import onnxruntime as ort
import torch
from torch import nn

from nhle_onnx.data.boxes.scenes import open_scenes
from nhle_onnx.values.detection import Precision
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.detection.measure import detect, judge, open_reader
from nhle_onnx.workflows.detection.subject import open_detector
from nhle_onnx.workflows.measure import ignore_batch
from recipes import fashion_mnist
from recipes.detection.composites import EXTENT
from recipes.detection.training import TrainingOptions
from recipes.export import write_onnx

_CONFIG = {
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"height": EXTENT, "width": EXTENT},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": False,
}


def export(network: nn.Module, path: Path, outputs: tuple[str, ...], *, use_dynamo: bool) -> None:
    """Write a detector."""
    images = torch.zeros(2, 3, EXTENT, EXTENT)
    write_onnx(network, "images", images, outputs, path, use_dynamo=use_dynamo)


def write_sidecars(folder: Path) -> None:
    """Write what names the classes, and what makes images the model's input."""
    (folder / "labels.txt").write_text("\n".join(fashion_mnist.LABELS) + "\n", "utf-8")
    config = json.dumps(_CONFIG, indent=2) + "\n"
    (folder / "preprocessor_config.json").write_text(config, "utf-8")


def measure(path: Path, scenes: Path) -> Precision:
    """Measure the average precision of the ONNX file in ONNX Runtime."""
    subject = open_detector(path, ModelFlags())
    source = open_scenes(scenes, subject.image_input, subject.preprocess, subject.labels)
    reader = open_reader(subject, "cpu", "exact")
    answers = detect([reader], source, ignore_batch)[0]
    truth = [boxes for boxes in source.boxes if boxes is not None]
    request = ForgetRequest(forget=(0,), num_classes=len(subject.labels))
    return judge(subject, answers, truth, request)


def write_card(folder: Path, title: str, options: TrainingOptions, found: Precision) -> str:
    """Write the card, and return the mean average precision."""
    path = folder / "model.onnx"
    content = path.read_bytes()
    model = onnx.load_from_string(content)
    known = [value for value in found.per_class if value is not None]
    at_50 = [value for value in found.per_class_50 if value is not None]
    precision = f"{sum(known) / len(known):.3f}"
    card = f"""# {title} on scenes of Fashion-MNIST

| | |
|---|---|
| file | `model.onnx`, {len(content):,} bytes, one file |
| SHA-256 | `{hashlib.sha256(content).hexdigest()}` |
| mAP@.5:.95 | {precision} ({sum(at_50) / len(at_50):.3f} at .5) on the 300 scenes in \
`calibration_samples/fashion_scenes/evaluation`, measured in ONNX Runtime |
| input | `images`, float32 [batch, 3, {EXTENT}, {EXTENT}]; `preprocessor_config.json` says how \
images become it |
| output | `output0`, float32 [batch, 14, 189]: centre, width and height in pixels, then a score \
for each of 10 classes; `labels.txt` names them. Suppress overlapping boxes yourself |
| scales | 12x12, 6x6, 3x3 (strides 8, 16, 32) |
| format | opset {model.opset_import[0].version}, IR {model.ir_version}, \
torch's TorchScript exporter |
| data | {fashion_mnist.SOURCE}; licence {fashion_mnist.LICENCE} |
| licence of this model | Apache-2.0 |

## How it was made

    python models/{folder.name}/recipe.py --data-root DIR

`DIR` holds the four gzipped IDX files of Fashion-MNIST. {options.scenes:,} scenes of 1 to 4 \
training items, scaled, tinted, mirrored and laid on noise of two colours; {options.epochs} \
epochs of AdamW (one-cycle, peak rate {options.lr}, weight decay {options.weight_decay}, batch \
{options.batch_size}), seed {options.seed}. Task-aligned assignment, binary cross-entropy, \
generalized IoU and distribution focal loss, as in YOLOv8. It takes some ten minutes on one core.

Made with torch {torch.__version__}, onnx {onnx.__version__}, ONNX Runtime {ort.__version__}, \
Python {platform.python_version()} on {platform.machine()}.

## Limits

For demonstrations and tests: product pictures on textures, {EXTENT} pixels wide. It does not \
detect fashion in photographs.
"""
    (folder / "card.md").write_text(card, "utf-8")
    return precision
