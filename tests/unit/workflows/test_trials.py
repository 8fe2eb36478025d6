"""Which preprocessing is tried on labelled images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from nhle_onnx.data.samples import open_samples
from nhle_onnx.hints import word
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.classifier import Classifier, open_classifier
from nhle_onnx.workflows.trials import try_presets
from support.graphs import make_model, make_node

HEIGHT, WIDTH = 4, 6


def make_classifier(folder: Path) -> Classifier:
    """Which of three colours is brightest; of images that are no squares."""
    nodes = [
        make_node("GlobalAveragePool", "x", "p"), make_node("Flatten", "p", "f"),
        make_node("MatMul", "f w"),
    ]  # fmt: skip
    shapes = {"x": ["n", 3, HEIGHT, WIDTH]}, {"y": ["n", 3]}
    onnx.save(make_model(nodes, *shapes, {"w": np.eye(3, dtype=np.float32)}), folder / "m.onnx")
    return open_classifier(folder / "m.onnx", ModelFlags())


@pytest.mark.parametrize("found", [None, Preprocess(source="s", size=(HEIGHT, WIDTH))])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_what_is_tried_fits_images_and_model(
    kind: type, found: Preprocess | None, tmp_path: Path
) -> None:
    """Inputs that are ready are taken as they are; of no squares, no shortest edge is cropped."""
    classifier = replace(make_classifier(tmp_path), preprocess=found)
    classes = np.arange(12) % 3
    images = np.zeros((12, HEIGHT, WIDTH, 3), kind)
    images[np.arange(12), :, :, classes] = 200
    inputs = images if kind is np.uint8 else images.transpose(0, 3, 1, 2)
    np.savez(tmp_path / "data.npz", x=inputs, y=classes)
    used = found if kind is np.uint8 else None
    session = open_session(classifier.model.proto, "cpu")
    samples = open_samples(
        tmp_path / "data.npz", classifier.image_input, found or Preprocess(source="s"),
        classifier.labels,
    )  # fmt: skip
    trials = try_presets(classifier, samples, range(12), session)
    names = [str(word(trial.options, "flags")) for trial in trials.tried]
    assert max(trial.accuracy for trial in trials.tried) == 1
    assert (names == ["as found"]) == (kind is np.float32)
    assert not any("shortest" in name or "crop-pct" in name for name in names)
    assert used is None or len(names) > 3
