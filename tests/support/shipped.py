"""The shipped models and samples."""

import shutil
from pathlib import Path

import onnx

from support import ROOT

LENET = ROOT / "models" / "lenet5_fashion_mnist" / "model.onnx"
MOBILENET = ROOT / "models" / "mobilenetv3_small_fashion_mnist" / "model.onnx"
MOBILENET_INT8 = ROOT / "models" / "mobilenetv3_small_int8_fashion_mnist" / "model.onnx"
SAMPLES = ROOT / "calibration_samples" / "fashion_mnist"
EVALUATION = SAMPLES / "evaluation.npz"


def copy_sidecars(folder: Path, model: Path = LENET) -> None:
    """A shipped model's labels and preprocessing."""
    for name in ("labels.txt", "preprocessor_config.json"):
        shutil.copy(model.with_name(name), folder)


def put_weights(model: Path, place: str) -> Path:
    """A copy of LeNet with its weights in another file."""
    (model.parent / place).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(onnx.load(LENET), model, save_as_external_data=True, location=place, size_threshold=0)
    return model
