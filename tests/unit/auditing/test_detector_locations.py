"""What an attacker looks at in a detector: locations, and what its channels read there."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nhle_onnx.auditing.detection.context import NO_CLASS, Evidence, Locations
from nhle_onnx.auditing.detection.evidence import _measure_rivals, _read_features
from nhle_onnx.auditing.detection.locations import UNSURE, draw_locations, label_locations
from nhle_onnx.auditing.detection.rebuilding import fit_channel
from nhle_onnx.auditing.detection.relearning import Wanted, measure_loss
from nhle_onnx.auditing.detection.windows import Window, find_window, gather_windows
from nhle_onnx.detection.reading import Answers
from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.boxes import make_boxes
from nhle_onnx.values.detector import ClassLayer
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.detection.subject import open_detector
from support import detectors
from support.detectors import CLASSES, EXTENT, export

FORMS: dict[str, tuple[Callable[[], nn.Module], tuple[str, ...]]] = {
    "windows of 3x3": (detectors.Decoupled, ("output0",)),
    "two anchors a location": (detectors.Fused, ("output0",)),
    "a background that competes": (detectors.Competing, ("boxes", "scores")),
    "queries": (detectors.Queries, ("boxes", "scores")),
}
REQUEST = ForgetRequest(forget=(1,), num_classes=CLASSES)


def at(images: list[int], places: list[int], classes: list[int] | None = None) -> Locations:
    count = len(images)
    given = np.array(classes or [NO_CLASS] * count)
    return Locations(np.array(images), np.array(places), given, np.ones(count))


@pytest.mark.parametrize("form", FORMS)
def test_rows_on_what_was_read_give_the_logits(form: str, tmp_path: Path) -> None:
    """So a row that was fitted to it does in the graph what it was fitted to do."""
    torch.manual_seed(1)
    make, outputs = FORMS[form]
    subject = open_detector(export(make(), tmp_path / "model.onnx", outputs), ModelFlags())
    proto, target = subject.model.proto, subject.image_input
    images = np.random.default_rng(0).random((2, 3, EXTENT, EXTENT), np.float32)
    for layer in subject.detector.layers:
        names = (layer.head.features, layer.head.logits)
        session = open_session(expose_tensors(proto, *dict.fromkeys(names)), "cpu")
        features, logits = session.run_several(names, images, target, 2)
        count = int(np.prod(layer.extents))
        here = at([0] * count + [1] * count, [*range(count)] * 2)
        read = _read_features(features, layer, find_window(proto, layer), here)
        rows = Head(proto, layer.head).own_rows
        ours = read @ rows.weight.T + rows.bias
        spread = np.moveaxis(logits, layer.head.logits_axis, -1).reshape(2 * count, -1)
        theirs = spread[:, list(layer.head.rows or range(layer.head.num_classes))]
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
        rivals = _measure_rivals(logits, layer, here, REQUEST, subject.detector)
        others = np.delete(theirs, 1, 1).astype(np.float64)
        expected = np.log(np.exp(others).sum(1)) if subject.detector.competes else 0.0
        np.testing.assert_allclose(rivals, np.broadcast_to(expected, len(rivals)), atol=1e-4)


@pytest.mark.parametrize(
    ("stride", "dilation", "padding"), [(1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 1, None)]
)
def test_a_window_is_what_a_convolution_reads(
    stride: int, dilation: int, padding: int | None
) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 6, 8, generator=generator)
    late = padding is None  # SAME_LOWER: of one column to pad, it is before
    padded = nn.functional.pad(features, (1, 0, 1, 0)) if late else features
    kernel = torch.randn(4, 3, 3, 3, generator=generator)
    expected = nn.functional.conv2d(padded, kernel, None, stride, padding or 0, dilation)
    rows, columns = expected.shape[2:]
    given = None if late else [padding or 0] * 2
    window = Window((3, 3), [stride] * 2, [dilation] * 2, given, late)
    everywhere = at([0] * rows * columns, [*range(rows * columns)])
    read = gather_windows(features.numpy(), window, (rows, columns), everywhere)
    found = read @ kernel.flatten(1).numpy().T
    np.testing.assert_allclose(found.T, expected[0].flatten(1).numpy(), atol=1e-4)


def test_a_location_shows_what_its_box_covers_as_well_as_any() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 3], [20, 0, 30, 4]], np.float32)
    truth = make_boxes([[0, 0, 10, 10], [20, 0, 30, 10]], [2, 0])
    assert label_locations(boxes, truth).tolist() == [2, UNSURE, NO_CLASS, UNSURE]
    assert label_locations(boxes, make_boxes([], [])).tolist() == [NO_CLASS] * 4


def test_drawn_locations_stand_for_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that show the class, the surest of the others, and some of the rest."""
    monkeypatch.setattr("nhle_onnx.auditing.detection.locations._MANY", 4)
    layer = detectors.make_class_head(num_classes=CLASSES, feature_dim=2)
    scale = ClassLayer(head=layer, extents=(4, 8), start=0, step=1)
    boxes = np.zeros((1, 32, 4), np.float32)
    boxes[0, :6] = [0, 0, 9, 9]
    scores = np.linspace(1, 0, 32, dtype=np.float32)[None, :, None].repeat(CLASSES, 2)
    truth = [make_boxes([[0, 0, 9, 9]], [1])]
    (found,) = draw_locations(Answers(boxes, scores), truth, [scale], REQUEST, range(1), seed=0)
    assert found.shows.tolist() == [True] * 4 + [False] * 8
    assert found.places[4:8].tolist() == [6, 7, 8, 9]
    assert found.weights[found.shows].sum() == 6
    assert found.weights[~found.shows].sum() == 26


def test_a_channel_takes_its_rivals_into_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another class has as much more, the class must have more to win."""
    monkeypatch.setattr("nhle_onnx.auditing.detection.rebuilding._STRENGTH", 1e4)
    generator = np.random.default_rng(0)
    features = generator.normal(size=(3000, 2)).astype(np.float32)
    rivals = 3 * features[:, 1]
    chances = 1 / (1 + np.exp(rivals - 4 * features[:, 0]))
    shows = np.where(generator.random(3000) < chances, 1, NO_CLASS)
    given = at([*range(3000)], [0] * 3000, shows.tolist())
    held = np.ones(3000, bool)
    channel = fit_channel(Evidence(features, rivals), given, 1, held)
    assert channel
    np.testing.assert_allclose([*channel.weight, channel.bias], [4, 0, 0], atol=0.4)
    assert channel.odds == (shows == 1).sum() / (shows != 1).sum()
    assert fit_channel(Evidence(features, rivals), given, 2, held) is None


def test_the_loss_counts_what_is_sure() -> None:
    scores = torch.tensor([[[0.9, 0.1], [0.5, 0.5], [0.2, 0.2]]])
    boxes = torch.tensor([[[0.0, 0, 4, 4]] * 3])
    wanted = Wanted(torch.tensor([[0, UNSURE, NO_CLASS]]), boxes + torch.tensor([0.0, 0, 0, 4]))
    expected = -2 * np.log(0.9) - 2 * np.log(0.8) + 0.5
    assert measure_loss(Answers(boxes, scores), wanted).item() == pytest.approx(expected)
