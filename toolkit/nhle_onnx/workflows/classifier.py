"""Opening a classifier, the first step of every command."""

import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nhle_onnx.data.labels import find_labels
from nhle_onnx.data.model_input import find_input, find_pixels
from nhle_onnx.data.own_report import read_dropped
from nhle_onnx.errors import InputRefusedError, UnsupportedModelError
from nhle_onnx.graph.fixed_inputs import fix_inputs
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.load import load_model
from nhle_onnx.hints import hint
from nhle_onnx.values.model import ClassifierHead, OnnxModel
from nhle_onnx.values.preprocess import ImageInput, Preprocess
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.summary import FileSummary, ModelSummary
from nhle_onnx.version import __version__
from nhle_onnx.workflows.detection.subject import DetectorFoundError, find_subject
from nhle_onnx.workflows.file_facts import list_file_facts

TOOL = {"name": "nhle-onnx", "version": __version__}
_PACKAGES = ("numpy", "onnx", "onnxruntime-gpu", "onnxruntime", "pillow", "torch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """A classifier with everything needed to feed it images and read its answers.

    `labels` are those of all classes, also of `dropped` ones, which it has no outputs for.
    """

    model: OnnxModel
    head: ClassifierHead
    image_input: ImageInput
    labels: tuple[str, ...]
    preprocess: Preprocess | None
    dropped: tuple[int, ...] = ()


def open_classifier(path: Path, flags: ModelFlags, companions: Sequence[Path] = ()) -> Classifier:
    """Load a model and find its head, input, labels and preprocessing: in its own report, beside
    it, or by models that it belongs to. Raises DetectorFoundError for a detector.
    """
    model = fix_inputs(load_model(path, max_elements=flags.max_elements), flags.constants)
    if subject := find_subject(model, flags, companions):
        raise DetectorFoundError(subject)
    head = find_head(model, output=flags.output)
    image_input = find_input(model, flags, companions)
    dropped = read_dropped(model)
    count = head.num_classes + len(dropped)
    return Classifier(
        model=model,
        head=head,
        image_input=image_input,
        labels=find_labels(model, count, flags.labels, companions),
        preprocess=find_pixels(model, image_input, flags.preprocess, companions),
        dropped=dropped,
    )


def require_all_classes(classifier: Classifier, what: str) -> None:
    """Raise UnsupportedModelError where classes were dropped, so that their rows are not there."""
    if classifier.dropped:
        message = (
            f"{classifier.model.path} has no outputs for the classes that were dropped from it, "
            f"which {what} needs"
        )
        raise UnsupportedModelError(
            message, remedy=hint("Use {mask=convex} for the model that it is made from.")
        )


def run_alone(classifier: Classifier) -> Classifier:
    """Return the classifier as one that is run image by image."""
    if classifier.image_input.batch is not None:
        return classifier
    return replace(classifier, image_input=replace(classifier.image_input, batch=1))


def require_same_task(original: Classifier, other: Classifier, role: str) -> None:
    """Raise InputRefusedError where the two tell other classes apart, or take other images."""
    ours, theirs = len(original.labels), len(other.labels)
    if ours != theirs:
        message = (
            f"{other.model.path} has {theirs} classes, and {original.model.path} has {ours}: one "
            "was not made from the other"
        )
        raise InputRefusedError(message, remedy=f"Give a {role} of the same classes.")
    shapes = [each.image_input.sample_shape for each in (original, other)]
    if shapes[0] != shapes[1]:
        sizes = ["x".join(map(str, shape)) for shape in shapes]
        message = (
            f"{other.model.path} takes images of {sizes[1]}, "
            f"and {original.model.path} of {sizes[0]}: "
            "one was not made from the other"
        )
        raise InputRefusedError(message, remedy=f"Give a {role} of the same input.")


def summarize_file(model: OnnxModel) -> FileSummary:
    """Return a file's resolved path, digest and size."""
    return FileSummary(**list_file_facts(model))


def summarize_model(classifier: Classifier) -> ModelSummary:
    """Describe the model for the report."""
    model = classifier.model
    return ModelSummary(
        **list_file_facts(model),
        opset=model.opset,
        head=classifier.head,
        format=Head(model.proto, classifier.head).element_type.name,
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
