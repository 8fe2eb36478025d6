"""The shipped models in every format, with images for calibration and evaluation."""

import shutil
from functools import cache as remember
from pathlib import Path
from typing import NamedTuple

import click
import onnx
from onnx import ModelProto

from nhle_onnx.data.samples import open_samples
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.classifier import Classifier, open_classifier
from nhle_onnx.workflows.evaluation import read_evaluation
from nhle_onnx.workflows.measure import Evaluation
from studies.formats import FORMATS, Calibration, quantize
from studies.results import ROOT
from studies.strangers import ZOO

NETWORKS = {
    "lenet5": "lenet5_fashion_mnist",
    "mobilenetv3-small": "mobilenetv3_small_fashion_mnist",
}
STRANGERS = ("residual-kept",)  # trained on the same data; `strangers build` makes them
SAMPLES = ROOT / "calibration_samples" / "fashion_mnist"
EVALUATION = SAMPLES / "evaluation.npz"
SIDECARS = ("labels.txt", "preprocessor_config.json")


class Cell(NamedTuple):
    """One measurement, as in its row's key; parity forgets nothing."""

    kind: str
    network: str
    format: str
    forget: int | None


class Shipped(NamedTuple):
    """A shipped float model with images for calibration and evaluation."""

    classifier: Classifier
    calibration: Calibration
    evaluation: Evaluation


@remember
def open_shipped(network: str) -> Shipped:
    """Open a shipped float model, or one of the zoo, and the images of the checkout."""
    classifier = open_classifier(find_model(network), ModelFlags())
    samples = open_samples(
        SAMPLES, classifier.image_input, classifier.preprocess, classifier.labels
    )
    images = samples.read(range(len(samples.classes)))
    return Shipped(
        classifier,
        Calibration(classifier.image_input.name, images),
        read_evaluation(EVALUATION, classifier),
    )


def find_model(network: str) -> Path:
    """Find the file of a network, beside labels and preprocessing."""
    if network in NETWORKS:
        return ROOT / "models" / NETWORKS[network] / "model.onnx"
    path = ZOO / "networks" / network / "model.onnx"
    if not path.is_file():
        message = f"not built yet: python -m studies strangers build --only {network}"
        raise click.UsageError(message)
    for name in SIDECARS:
        shutil.copy(ROOT / "models" / NETWORKS["lenet5"] / name, path.with_name(name))
    return path


@remember
def make_given(network: str, chosen: str) -> ModelProto:
    """Make the quantized model as a user has it."""
    shipped = open_shipped(network)
    return quantize(FORMATS[chosen], shipped.classifier.model.proto, shipped.calibration)


def write_model(proto: ModelProto, network: str, folder: Path) -> Path:
    """Write a model file beside the labels and preprocessing of the shipped one."""
    for name in SIDECARS:
        shutil.copy(open_shipped(network).classifier.model.path.with_name(name), folder)
    path = folder / "model.onnx"
    onnx.save_model(proto, path)
    return path
