"""What a page shows of single images."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.workflows.outcomes import describe_outcomes, draw_images
from support.inputs import make_input

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 13  # [H, W, C]
HALF = Preprocess(source="test", mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 0.125))


def read(picture: str) -> np.ndarray:
    _, _, content = picture.partition(",")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def prepare(preprocess: Preprocess) -> np.ndarray:
    """The input [1, C, H, W] that the preprocessing makes of the pixels."""
    given = PIXELS[..., ::-1] if preprocess.channels == "bgr" else PIXELS
    scaled = given * preprocess.scale + preprocess.offset
    normalized = (scaled - np.array(preprocess.mean)) / np.array(preprocess.std)
    return normalized.transpose(2, 0, 1)[None].astype(np.float32)


@pytest.mark.parametrize("preprocess", [HALF, replace(HALF, channels="bgr", offset=-1.0)])
def test_a_picture_is_what_was_read(preprocess: Preprocess) -> None:
    target = make_input(3, 2, 3)
    (picture,) = draw_images(prepare(preprocess), target, preprocess)
    np.testing.assert_array_equal(read(picture), PIXELS)
    rows = prepare(preprocess).transpose(0, 2, 3, 1)
    assert draw_images(rows, make_input(3, 2, 3, "NHWC"), preprocess) == (picture,)


def test_inputs_that_nothing_describes_are_stretched() -> None:
    inputs = np.float32([[[[-3.0, 0.0, 3.0]]]] * 2)
    inputs[1] = 7  # one colour
    pictures = draw_images(inputs, make_input(1, 1, 3), None)
    assert read(pictures[0]).tolist() == [[0, 128, 255]]
    assert read(pictures[1]).tolist() == [[0, 0, 0]]


def test_what_is_no_picture_is_not_drawn() -> None:
    for target in (make_input(5, 2, 3), replace(make_input(3, 2, 3), layout=None)):
        assert draw_images(np.zeros((2, 3, 2, 3), np.float32), target, HALF) == ("", "")


def test_without_images_nothing_is_shown() -> None:
    request = ForgetRequest(forget=(1,), num_classes=3)
    found = describe_outcomes(
        {}, np.zeros(0, np.int64), request, 8, lambda _: pytest.fail("drew"),
        available=0, indices=[],
    )  # fmt: skip
    assert (found.images, found.forgotten, found.mistakes, found.confusion) == (0, (), (), {})
