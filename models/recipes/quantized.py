"""From a shipped float model to a quantized one, by ONNX Runtime's own static quantizer."""

import hashlib
import logging
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto
from onnxruntime.quantization import QuantFormat, quantize_static
from PIL import Image

from nhle_onnx.data.preprocess import prepare_image
from nhle_onnx.data.preprocess_sources import find_preprocess
from nhle_onnx.data.samples import open_samples
from nhle_onnx.graph.image_input import read_image_input
from nhle_onnx.graph.load import load_model
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.preprocess import ImageInput, Preprocess
from nhle_onnx.values.settings.model import PreprocessFlags
from recipes import fashion_mnist
from recipes.idx import read_split

_BATCH_SIZE = 100
_SIDECARS = ("labels.txt", "preprocessor_config.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedRecipe:
    """A quantized form of the shipped model `source`."""

    name: str
    title: str
    source: str


class _Reader:
    """Images as the quantizer asks for them; it wants an object with `get_next`."""

    def __init__(self, target: ImageInput, images: npt.NDArray[np.float32]) -> None:
        starts = range(0, len(images), _BATCH_SIZE)
        self._feeds = iter([{target.name: images[start : start + _BATCH_SIZE]} for start in starts])

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        """The next batch, or None."""
        return next(self._feeds, None)


def publish_quantized(recipe: QuantizedRecipe, root: Path, data_root: Path, folder: Path) -> None:
    """Quantize with the shipped calibration samples, and measure on the 10,000 test images."""
    source = root / "models" / recipe.source / "model.onnx"
    for name in _SIDECARS:
        shutil.copy(source.with_name(name), folder)
    float_model = load_model(source)
    target = read_image_input(float_model)
    preprocess = find_preprocess(float_model, target, PreprocessFlags())
    if preprocess is None:
        message = f"{source} has no preprocessing beside it"
        raise ValueError(message)
    samples = root / "calibration_samples" / "fashion_mnist"
    images = open_samples(samples, target, preprocess, fashion_mnist.LABELS)
    path = folder / "model.onnx"
    logging.disable()  # the quantizer advises, for speed
    quantize_static(
        source,
        path,
        _Reader(target, images.read(range(len(images.classes)))),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
    )
    accuracy = _measure_test_accuracy(path, target, preprocess, data_root)
    card = _write_card(recipe, path, len(images.classes), accuracy)
    (folder / "card.md").write_text(card, "utf-8")
    print(f"{path}: test accuracy {accuracy:.4f}")


def _measure_test_accuracy(
    path: Path, target: ImageInput, preprocess: Preprocess, data_root: Path
) -> float:
    split = read_split(data_root, "t10k")
    images = np.stack(
        [prepare_image(Image.fromarray(image), target, preprocess) for image in split.images]
    )
    session = open_session(onnx.load(path), "cpu").native  # sums as devices have them
    logits = [
        session.run(None, {target.name: images[start : start + _BATCH_SIZE]})[0]
        for start in range(0, len(images), _BATCH_SIZE)
    ]
    return float((np.concatenate(logits).argmax(1) == split.labels).mean())


def _write_card(recipe: QuantizedRecipe, path: Path, calibrated: int, accuracy: float) -> str:
    content = path.read_bytes()
    model = onnx.load_from_string(content)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    extents = ", ".join(str(axis.dim_value or "batch") for axis in shape)
    kinds = sorted(
        {
            TensorProto.DataType.Name(tensor.data_type).lower()
            for tensor in model.graph.initializer
            if len(tensor.dims) > 1
        }
    )
    opset = model.opset_import[0].version
    return f"""# {recipe.title} on Fashion-MNIST

| | |
|---|---|
| file | `model.onnx`, {len(content):,} bytes, one file |
| SHA-256 | `{hashlib.sha256(content).hexdigest()}` |
| test accuracy | {accuracy:.4f} on the 10,000 test images, measured in ONNX Runtime |
| input | `image`, float32 [{extents}]; `preprocessor_config.json` says how images become it |
| output | `logits`, float32 [batch, 10]; `labels.txt` names the classes |
| format | QDQ, {", ".join(kinds)} weights with a scale for each channel, int8 activations, \
opset {opset}, IR {model.ir_version} |
| made of | [{recipe.source}](../{recipe.source}/card.md) |
| data | {fashion_mnist.SOURCE}; licence {fashion_mnist.LICENCE} |
| licence of this model | Apache-2.0 |

## How it was made

    python models/{recipe.name}/recipe.py --data-root DIR

`DIR` holds the four gzipped IDX files of Fashion-MNIST, for the accuracy alone. ONNX Runtime's \
static quantizer with its defaults but for `per_channel`, calibrated on the {calibrated} images in \
`calibration_samples/fashion_mnist`.

Made with onnx {onnx.__version__}, ONNX Runtime {ort.__version__}, Python \
{platform.python_version()} on {platform.machine()}.

## Limits

The same as those of the model from which it was made.
"""
