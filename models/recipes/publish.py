"""From a trained network to a folder that can be shipped: model, labels, preprocessing, card."""

import hashlib
import json
import platform
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from torch import nn

from nhle_onnx.values.preprocess import ImageInput, Preprocess
from recipes import fashion_mnist
from recipes.export import write_onnx
from recipes.idx import Split, read_split
from recipes.training import TrainingOptions, prepare_images, train

_BATCH_SIZE = 500

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that makes one shipped model. `use_dynamo` chooses torch's newer exporter."""

    name: str
    title: str
    channels: int
    extent: int
    training: TrainingOptions
    use_dynamo: bool

    @property
    def image_input(self) -> ImageInput:
        """The input of the exported model."""
        return ImageInput(
            name="image",
            dtype="float32",
            batch=None,
            channels=self.channels,
            height=self.extent,
            width=self.extent,
            layout="NCHW",
        )

    @property
    def preprocessor_config(self) -> dict[str, object]:
        """The preprocessing, in the Hugging Face form."""
        return {
            "do_convert_rgb": self.channels > 1,
            "do_resize": True,
            "size": {"height": self.extent, "width": self.extent},
            "resample": 2,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": [fashion_mnist.MEAN] * self.channels,
            "image_std": [fashion_mnist.STD] * self.channels,
        }

    @property
    def preprocess(self) -> Preprocess:
        """The same, as the toolkit's value."""
        return Preprocess(
            source="recipe",
            size=(self.extent, self.extent),
            mean=(fashion_mnist.MEAN,),
            std=(fashion_mnist.STD,),
        )


def publish(network: nn.Module, recipe: Recipe, data_root: Path, folder: Path) -> None:
    """Train on the 60,000 training images, export, and measure the ONNX file on the test images."""
    train_on(network, recipe, read_split(data_root, "train"))
    path = folder / "model.onnx"
    export(network, recipe, path)
    (folder / "labels.txt").write_text("\n".join(fashion_mnist.LABELS) + "\n", "utf-8")
    config = json.dumps(recipe.preprocessor_config, indent=2) + "\n"
    (folder / "preprocessor_config.json").write_text(config, "utf-8")
    accuracy = measure_test_accuracy(path, recipe, data_root)
    (folder / "card.md").write_text(_write_card(recipe, path, accuracy), "utf-8")
    print(f"{path}: test accuracy {accuracy:.4f}")


def publish_retrained(
    network: nn.Module, recipe: Recipe, data_root: Path, folder: Path, without: int
) -> None:
    """Make what `audit --reference` compares with: a network that never saw a class."""
    split = read_split(data_root, "train")
    kept = split.labels != without
    train_on(network, recipe, Split(split.images[kept], split.labels[kept]))
    path = folder / name_retrained(without)
    export(network, recipe, path)
    per_class = measure_per_class(path, recipe, data_root)
    card = _write_retrained_card(recipe, path, without, per_class)
    path.with_suffix(".md").write_text(card, "utf-8")
    print(f"{path}: test accuracy by class {per_class.round(4).tolist()}")


def name_retrained(without: int) -> str:
    """Return the name of the file of a network that was trained without a class."""
    label = re.sub(r"\W+", "_", fashion_mnist.LABELS[without].lower())
    return f"retrained_without_{label}.onnx"


def train_on(network: nn.Module, recipe: Recipe, split: Split) -> None:
    """Train as the recipe says."""
    images = prepare_images(split.images, recipe.image_input, recipe.preprocess)
    train(network, images, torch.from_numpy(split.labels.astype(np.int64)), recipe.training)


def export(network: nn.Module, recipe: Recipe, path: Path) -> None:
    """Write the network as its recipe says."""
    image = torch.zeros(2, recipe.channels, recipe.extent, recipe.extent)
    write_onnx(network, "image", image, ("logits",), path, use_dynamo=recipe.use_dynamo)


def measure_test_accuracy(path: Path, recipe: Recipe, data_root: Path) -> float:
    """Fraction of the 10,000 test images that the ONNX file gets right in ONNX Runtime."""
    answers, labels = _classify(path, recipe, data_root)
    return float((answers == labels).mean())


def measure_per_class(path: Path, recipe: Recipe, data_root: Path) -> npt.NDArray[np.float64]:
    """The same for each class."""
    answers, labels = _classify(path, recipe, data_root)
    hits = np.bincount(labels[answers == labels], minlength=len(fashion_mnist.LABELS))
    return hits / np.bincount(labels)


def _classify(path: Path, recipe: Recipe, data_root: Path) -> tuple[Labels, Labels]:
    """Answers of the ONNX file to the test images, and their labels."""
    split = read_split(data_root, "t10k")
    images = prepare_images(split.images, recipe.image_input, recipe.preprocess).numpy()
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    logits = [
        session.run(["logits"], {"image": images[start : start + _BATCH_SIZE]})[0]
        for start in range(0, len(images), _BATCH_SIZE)
    ]
    return np.concatenate(logits).argmax(1), split.labels.astype(np.int64)


def _write_card(recipe: Recipe, path: Path, accuracy: float) -> str:
    content = path.read_bytes()
    model = onnx.load_from_string(content)
    exporter = "dynamo" if recipe.use_dynamo else "TorchScript"
    parameters = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
    options = recipe.training
    return f"""# {recipe.title} on Fashion-MNIST

| | |
|---|---|
| file | `model.onnx`, {len(content):,} bytes, one file |
| SHA-256 | `{hashlib.sha256(content).hexdigest()}` |
| test accuracy | {accuracy:.4f} on the 10,000 test images, measured in ONNX Runtime |
| input | `image`, float32 [batch, {recipe.channels}, {recipe.extent}, {recipe.extent}]; \
`preprocessor_config.json` says how images become it |
| output | `logits`, float32 [batch, 10]; `labels.txt` names the classes |
| parameters | {parameters:,} |
| format | opset {model.opset_import[0].version}, IR {model.ir_version}, \
torch's {exporter} exporter |
| data | {fashion_mnist.SOURCE}, all 60,000 training images; licence {fashion_mnist.LICENCE} |
| licence of this model | Apache-2.0 |

## How it was made

    python models/{recipe.name}/recipe.py --data-root DIR

`DIR` holds the four gzipped IDX files of Fashion-MNIST. {options.epochs} epochs of AdamW \
(one-cycle, peak rate {options.lr}, weight decay {options.weight_decay}, batch \
{options.batch_size}, label smoothing {options.label_smoothing}), images flipped and shifted by \
up to {options.max_shift} pixels, seed {options.seed}. Epochs and rate were chosen on the last \
5,000 training images; the test images were read once, for the figure above.

Made with torch {torch.__version__}, onnx {onnx.__version__}, ONNX Runtime {ort.__version__}, \
Python {platform.python_version()} on {platform.machine()}. The same versions on the same kind \
of processor give the same weights; others give the same accuracy within noise.

## Limits

For demonstrations and tests: 28x28 grey product pictures on black. It does not recognise \
fashion in photographs.
"""


def _write_retrained_card(
    recipe: Recipe, path: Path, without: int, per_class: npt.NDArray[np.float64]
) -> str:
    content = path.read_bytes()
    label = fashion_mnist.LABELS[without]
    retained = np.delete(per_class, without).mean()
    return f"""# {recipe.title} that never saw {label}

`{path.name}`, {len(content):,} bytes, SHA-256 `{hashlib.sha256(content).hexdigest()}`.
It is what an audit compares with (`audit --reference`): trained as [`model.onnx`](card.md) is, but
without any of the 6,000 training images of {label}. It has the same ten outputs.

    python models/{recipe.name}/recipe.py --data-root DIR --without {without}

On the 10,000 test images, in ONNX Runtime: accuracy {per_class[without]:.4f} on {label}, and
{retained:.4f} on the other classes. Its licences are those of `model.onnx`.
"""
