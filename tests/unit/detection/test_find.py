"""A class channel is found by what it does, whatever stands behind it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import ModelProto, helper, numpy_helper
from torch import nn

from nhle_onnx.detection.find import find_detector, has_boxes, may_detect
from nhle_onnx.detection.reading import Answers, list_detections, read_answers, read_corners
from nhle_onnx.detection.restoring import restore_channels
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.image_input import read_image_input
from nhle_onnx.graph.load import load_model
from nhle_onnx.unlearning.channel_mask import mask_channels, resolve_channel_mask
from nhle_onnx.values.detector import BoxTensor, Detector
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.detection.subject import find_subject, name_outputs
from support import detectors
from support.detectors import CLASSES, EXTENT, export, with_suppression

Images = npt.NDArray[np.float32]
PAIR = ("boxes", "scores")
FORMS: dict[str, tuple[Callable[[], nn.Module], tuple[str, ...]]] = {
    "decoupled": (detectors.Decoupled, ("output0",)),
    "summed": (detectors.Summed, ("output0",)),
    "fused": (detectors.Fused, ("output0",)),
    "decoded and maps": (detectors.DecodedAndMaps, ("output0", "near", "far")),
    "objectness": (detectors.Objectness, ("output0",)),
    "competing": (detectors.Competing, PAIR),
    "competing logits": (lambda: detectors.Competing(logits=True), PAIR),
    "queries": (detectors.Queries, PAIR),
}
SCALES = {
    "decoupled": [((4, 4), 0, 1), ((2, 2), 16, 1)],
    "summed": [((4, 4), 0, 1), ((2, 2), 16, 1)],
    "fused": [((4, 4), 0, 1), ((4, 4), 16, 1), ((2, 2), 32, 1), ((2, 2), 36, 1)],
    "decoded and maps": [((4, 4), 0, 1), ((4, 4), 16, 1), ((2, 2), 32, 1), ((2, 2), 36, 1)],
    "objectness": [((4, 4), 0, 1), ((2, 2), 16, 1)],
    "competing": [((4, 4), 0, 2), ((4, 4), 1, 2), ((2, 2), 32, 2), ((2, 2), 33, 2)],
    "competing logits": [((4, 4), 0, 2), ((4, 4), 1, 2), ((2, 2), 32, 2), ((2, 2), 33, 2)],
    "queries": [((16,), 0, 1)],
}


def knows(count: int) -> bool:
    return count == CLASSES


def find(path: Path) -> tuple[OnnxModel, Detector]:
    model = load_model(path)
    return model, find_detector(model, read_image_input(model), knows)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("forms")
    return {
        name: export(make(), folder / f"{name.replace(' ', '_')}.onnx", outputs)
        for name, (make, outputs) in FORMS.items()
    }


def read(proto: ModelProto, detector: Detector, images: Images) -> Answers:
    names = [detector.boxes.name, detector.scores.name]
    session = ort.InferenceSession(proto.SerializeToString())
    boxes, scores = session.run(names, {"images": images})
    return read_answers(detector, boxes, scores, (EXTENT, EXTENT))


@pytest.mark.parametrize("form", FORMS)
def test_scales_and_anchors_are_found(forms: dict[str, Path], form: str) -> None:
    model, detector = find(forms[form])
    assert has_boxes(model) or may_detect(model)
    assert [(each.extents, each.start, each.step) for each in detector.layers] == SCALES[form]
    assert detector.num_classes == CLASSES
    assert detector.competes == form.startswith("competing")
    assert detector.has_background == form.startswith("competing")


@pytest.mark.parametrize("form", FORMS)
def test_masking_takes_one_class_away_and_nothing_else(forms: dict[str, Path], form: str) -> None:
    model, detector = find(forms[form])
    images = np.random.default_rng(0).normal(0, 2, (2, 3, EXTENT, EXTENT)).astype(np.float32)
    before = read(model.proto, detector, images)
    edited = onnx.ModelProto()
    edited.CopyFrom(model.proto)
    request = ForgetRequest(forget=(1,), num_classes=CLASSES)
    mask_channels(
        edited, detector, request, resolve_channel_mask("auto", detector, has_steps=False)
    )
    after = read(edited, detector, images)
    assert before.scores[..., 1].max() > 1e-3
    assert after.scores[..., 1].max() < 1e-4
    np.testing.assert_array_equal(after.boxes, before.boxes)
    if not detector.competes:
        np.testing.assert_array_equal(after.scores[..., [0, 2]], before.scores[..., [0, 2]])
    assert (after.scores[..., [0, 2]] >= before.scores[..., [0, 2]] - 1e-5).all()
    restored = read(restore_channels(edited, detector, model.proto), detector, images)
    np.testing.assert_allclose(restored.scores, before.scores, atol=1e-6)


def test_scores_are_read_as_the_network_means_them(forms: dict[str, Path]) -> None:
    images = np.random.default_rng(1).normal(0, 2, (1, 3, EXTENT, EXTENT)).astype(np.float32)
    answers = {}
    for form in ("competing", "competing logits"):
        torch.manual_seed(7)
        make, outputs = FORMS[form]
        path = export(make(), forms[form].with_name("same.onnx"), outputs)
        model, detector = find(path)
        answers[form] = read(model.proto, detector, images)
    np.testing.assert_allclose(*(each.scores for each in answers.values()), atol=1e-6)


def test_an_objectness_is_multiplied_in(forms: dict[str, Path]) -> None:
    for form in ("fused", "objectness"):
        model, detector = find(forms[form])
        assert detector.scores.objectness == 4
        assert detector.scores.columns == (5, 6, 7)
        images = np.zeros((1, 3, EXTENT, EXTENT), np.float32)
        (raw,) = ort.InferenceSession(forms[form]).run(None, {"images": images})
        scores = read(model.proto, detector, images).scores
        np.testing.assert_allclose(scores, raw[..., 5:] * raw[..., 4:5], rtol=1e-5)


def test_boxes_are_corners_in_pixels(forms: dict[str, Path]) -> None:
    images = np.random.default_rng(2).normal(0, 1, (1, 3, EXTENT, EXTENT)).astype(np.float32)
    for form in ("competing", "queries"):
        model, detector = find(forms[form])
        boxes, _ = ort.InferenceSession(forms[form]).run(None, {"images": images})
        assert detector.boxes.is_relative
        found = read(model.proto, detector, images).boxes
        if form == "competing":
            np.testing.assert_allclose(found, boxes * EXTENT, rtol=1e-5)
        else:
            corners = np.concatenate(
                [boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], 2
            )
            np.testing.assert_allclose(found, corners * EXTENT, rtol=1e-4, atol=1e-4)


def test_what_a_suppression_reads_is_what_is_read(forms: dict[str, Path]) -> None:
    _, detector = find(with_suppression(forms["competing"]))
    assert detector.suppresses
    assert (detector.boxes.name, detector.scores.name) == ("boxes", "turned")
    assert detector.boxes.form == "corners-yx"
    assert detector.has_background
    rows = [layer.head.rows for layer in detector.layers]
    assert rows[:2] == [(1, 2, 3, 0), (5, 6, 7, 4)]


def test_maps_that_are_not_decoded_are_refused(tmp_path: Path) -> None:
    class Raw(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = detectors.Decoupled()

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            maps = self.inner.trunk(images)
            return tuple(head(each) for head, each in zip(self.inner.classes, maps, strict=True))

    model = load_model(export(Raw(), tmp_path / "raw.onnx", ("near", "far")))
    assert not has_boxes(model)
    assert not may_detect(model)
    with pytest.raises(UnsupportedModelError, match="not decoded boxes"):
        find_detector(model, read_image_input(model), knows)


def test_boxes_may_be_written_with_the_top_first() -> None:
    """As TensorFlow writes them, and NonMaxSuppression reads them."""
    layout = BoxTensor(name="b", axis=2, form="corners-yx", is_relative=True)
    found = read_corners(layout, np.float32([[[0.1, 0.2, 0.3, 0.4]]]), (10, 100))
    np.testing.assert_allclose(found, [[[20, 1, 40, 3]]], rtol=1e-6)


class Fixed(nn.Module):
    """Boxes and scores that no layer computes."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = images.flatten(2)[:, :, :16].transpose(1, 2).sigmoid()
        return torch.cat([rows, rows[..., :1]], 2), rows


class Blind(detectors.Decoupled):
    """The coarse scale sees no class."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = super().forward(images)
        return found * torch.cat([torch.ones(16), torch.zeros(4)])


class Mixed(detectors.Decoupled):
    """Locations in an order of their own."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images)[..., [0, 5, 3, *range(6, 20), 1, 4, 2]]


@pytest.mark.parametrize(
    ("make", "outputs", "reason"),
    [
        (Fixed, PAIR, "no layer computes the scores"),
        (Blind, ("output0",), "was found at 16 of 20 locations"),
        (Mixed, ("output0",), "are not anchors in order"),
    ],
)
def test_what_is_computed_in_another_way_is_refused(
    make: Callable[[], nn.Module], outputs: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    path = export(make(), tmp_path / "model.onnx", outputs)
    with pytest.raises(UnsupportedModelError, match=reason):
        find(path)
    assert find_subject(load_model(path), ModelFlags()) is None


def test_a_detector_beyond_doubt_is_named_with_what_is_in_the_way(tmp_path: Path) -> None:
    path = with_suppression(export(Fixed(), tmp_path / "model.onnx", PAIR))
    with pytest.raises(UnsupportedModelError, match="no layer computes the scores"):
        find_subject(load_model(path), ModelFlags())


def test_boxes_that_are_no_output_cannot_be_compared(forms: dict[str, Path]) -> None:
    subject = find_subject(load_model(with_suppression(forms["competing"])), ModelFlags())
    assert subject is not None
    with pytest.raises(UnsupportedModelError, match="no outputs with boxes and scores"):
        name_outputs(subject)


def test_an_objectness_is_known_by_its_box(forms: dict[str, Path]) -> None:
    """Also where nothing names the classes; one from a layer of its own stands alone."""
    for form in ("fused", "objectness"):
        model = load_model(forms[form])
        detector = find_detector(model, read_image_input(model), lambda _: False)
        assert (detector.scores.objectness, detector.num_classes) == (4, CLASSES)


def test_nothing_is_detected_where_no_score_is_high() -> None:
    boxes, scores = np.zeros((1, 5, 4), np.float32), np.full((1, 5, 2), 1e-4, np.float32)
    assert len(list_detections(Answers(boxes, scores))[0].scores) == 0


def test_quantized_logits_that_end_at_zero_are_followed(
    forms: dict[str, Path], tmp_path: Path
) -> None:
    """The range of a coarse scale's logits has no positive number where none was seen."""
    proto = onnx.load(forms["decoupled"])
    place, node = next(
        (place, node)
        for place, node in enumerate(proto.graph.node)
        if node.op_type == "Conv" and "classes.1" in node.input[1]
    )
    name, node.output[0] = node.output[0], "logits"
    numbers = {"step": np.float32(8 / 255), "highest": np.uint8(255)}
    proto.graph.initializer.extend(
        numpy_helper.from_array(np.array(value), key) for key, value in numbers.items()
    )
    for offset, (kind, given, result) in enumerate(
        [("QuantizeLinear", "logits", "stored"), ("DequantizeLinear", "stored", name)], 1
    ):
        proto.graph.node.insert(place + offset, helper.make_node(kind, [given, *numbers], [result]))
    onnx.save(proto, tmp_path / "model.onnx")
    _, detector = find(tmp_path / "model.onnx")
    assert [layer.extents for layer in detector.layers] == [(4, 4), (2, 2)]
    assert detector.num_classes == CLASSES


def test_maps_that_another_program_decodes_are_named_as_such(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = export(detectors.Maps(), tmp_path / "maps.onnx", ("near", "far"))
    with pytest.raises(UnsupportedModelError) as raised:
        find_subject(load_model(path), ModelFlags())
    assert "whose boxes are computed outside of its graph" in raised.value.reason
    assert "Export it with its boxes decoded" in str(raised.value.remedy)


def test_maps_beside_decoded_boxes_lose_the_class_as_well(forms: dict[str, Path]) -> None:
    path = forms["decoded and maps"]
    subject = find_subject(load_model(path), ModelFlags())
    assert subject is not None
    edited = ModelProto()
    edited.CopyFrom(subject.model.proto)
    request = ForgetRequest(forget=(1,), num_classes=CLASSES)
    mask = resolve_channel_mask("auto", subject.detector, has_steps=False)
    mask_channels(edited, subject.detector, request, mask)
    images = np.random.default_rng(2).random((4, 3, EXTENT, EXTENT), np.float32)
    for maps in ort.InferenceSession(edited.SerializeToString()).run(
        ["near", "far"], {"images": images}
    ):
        scores = 1 / (1 + np.exp(-np.asarray(maps)[..., 5:]))
        assert scores[..., 1].max() < 0.001 < scores[..., 0].min()
