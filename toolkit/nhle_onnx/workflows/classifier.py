"""Opening a classifier, the first step of every command."""

import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nhle_onnx.data.labels import find_labels, parse_classes
from nhle_onnx.data.preprocess_sources import find_preprocess
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.image_input import read_image_input
from nhle_onnx.graph.load import load_model
from nhle_onnx.values.model import ClassifierHead, OnnxModel
from nhle_onnx.values.preprocess import ImageInput, Preprocess
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.summary import FileSummary, ModelSummary
from nhle_onnx.version import __version__

TOOL = {"name": "nhle-onnx", "version": __version__}
_PACKAGES = ("numpy", "onnx", "onnxruntime-gpu", "onnxruntime", "pillow", "torch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """A classifier with everything needed to feed it images and read its answers."""

    model: OnnxModel
    head: ClassifierHead
    image_input: ImageInput
    labels: tuple[str, ...]
    preprocess: Preprocess | None


def open_classifier(path: Path, flags: ModelFlags) -> Classifier:
    """Load a model and find its head, input, labels and preprocessing."""
    model = load_model(path, max_elements=flags.max_elements)
    head = find_head(model, output=flags.output)
    image_input = read_image_input(model, layout=flags.layout)
    return Classifier(
        model=model,
        head=head,
        image_input=image_input,
        labels=find_labels(model.path, head.num_classes, flags.labels),
        preprocess=find_preprocess(model, image_input, flags.preprocess),
    )


def make_request(classifier: Classifier, forget: tuple[str, ...]) -> ForgetRequest:
    """Check the classes that a user named against the model."""
    return ForgetRequest(
        forget=parse_classes(forget, classifier.labels), num_classes=classifier.head.num_classes
    )


def summarize_file(model: OnnxModel) -> FileSummary:
    """Return a file's resolved path, digest and size."""
    return FileSummary(
        path=str(model.path),
        sha256=model.sha256,
        size_bytes=model.size_bytes,
        sidecars=dict(model.sidecars),
    )


def summarize_model(classifier: Classifier) -> ModelSummary:
    """Describe the model for the report."""
    model = classifier.model
    return ModelSummary(
        path=str(model.path),
        sha256=model.sha256,
        size_bytes=model.size_bytes,
        sidecars=dict(model.sidecars),
        opset=model.opset,
        head=classifier.head,
        format=Head(model.proto, classifier.head).number_format,
    )


def list_environment() -> dict[str, str]:
    """List the versions that affect the result, without importing the packages."""
    found = {"python": sys.version.split()[0], "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
