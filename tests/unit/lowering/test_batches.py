"""Graphs that take a number of images of their own, made to take any for training."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor

from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.load import load_model
from nhle_onnx.lowering.batches import InBatches, lower_for_any_batch
from nhle_onnx.lowering.module import LoweredModel, lower_classifier
from studies.quantized_subjects import make_given, open_shipped

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGES = 64


class Dynamic(NamedTuple):
    """A model whose graph quantizes a whole batch by the same scale, and images for it."""

    path: Path
    images: np.ndarray


@pytest.fixture
def dynamic(request: pytest.FixtureRequest, tmp_path: Path) -> Dynamic:
    onnx.save(make_given(request.param, "dynamic-int8"), tmp_path / "model.onnx")
    images = open_shipped(request.param).evaluation.read(range(IMAGES))
    return Dynamic(tmp_path / "model.onnx", images)


def lower_one_by_one(path: Path, shape: tuple[int, ...]) -> LoweredModel:
    model = load_model(path)
    lower = partial(lower_classifier, source="image", head=find_head(model))
    return lower_for_any_batch(model, lower, source="image", shape=shape, size=1)


def read_gradients(lowered: LoweredModel, scores: Tensor) -> list[Tensor]:
    parameters = list(lowered.parameter_of.values())
    found: tuple[Tensor, ...] = torch.autograd.grad(scores.square().sum(), parameters)
    return list(found)


@pytest.mark.parametrize("dynamic", ["lenet5", "mobilenetv3-small"], indirect=True)
def test_no_image_changes_what_another_gives(dynamic: Dynamic) -> None:
    path, images = dynamic
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    alone = np.concatenate([session.run(None, {"image": image[None]})[0] for image in images])
    module = lower_one_by_one(path, images.shape[1:]).module
    with torch.no_grad():
        scores = module(torch.from_numpy(images))[0].numpy()
    assert (scores.argmax(1) == alone.argmax(1)).all()
    at_once = session.run(None, {"image": images})[0]
    assert np.abs(scores - alone).max() < np.abs(at_once - alone).max() / 10


@pytest.mark.parametrize("dynamic", ["lenet5"], indirect=True)  # exact sums alone: no last bits
def test_one_pass_gives_what_one_image_after_another_does(dynamic: Dynamic) -> None:
    lowered = lower_one_by_one(dynamic.path, dynamic.images.shape[1:])
    assert isinstance(lowered.module, InBatches)
    assert lowered.module.in_one_pass
    images = torch.from_numpy(dynamic.images[:8])
    one_by_one = InBatches(lowered.module.module, 1, in_one_pass=False)
    scores, expected = (module(images)[0] for module in (lowered.module, one_by_one))
    torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-5)
    for found, wanted in zip(
        read_gradients(lowered, scores), read_gradients(lowered, expected), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))
