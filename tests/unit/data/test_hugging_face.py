"""Pixels are those of Hugging Face's own processors in NumPy and Pillow, to the bit."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from nhle_onnx.data.preprocess import prepare_image, shape_image
from nhle_onnx.data.processors.choose import PROCESSORS, parse_config
from support.inputs import make_input
from support.processor_files import FILES, MODES, list_sizes, make_file, make_photo, make_processor

if TYPE_CHECKING:  # slow to import, even where other files are run
    from transformers.image_processing_utils import BaseImageProcessor

_AS_STORED = {"do_rescale": False, "do_normalize": False}
# One file for each processor is tried in all modes; others differ only in sizes and numbers.
_FIRST = {name: kind for kind, (_, name, _) in reversed(FILES.items())}.values()
_WIDE = {"convnext, squashed"}  # 384 x 384, which takes a while


def run(processor: "BaseImageProcessor", image: Image.Image, **flags: bool) -> np.ndarray:
    """What the processor makes of an image that was read as transformers reads it."""
    result = processor.preprocess(image.convert("RGB"), input_data_format="channels_last", **flags)
    return result["pixel_values"][0]


@pytest.mark.parametrize("kind", FILES)
def test_every_photo_becomes_the_same_pixels(kind: str) -> None:
    processor, found = make_processor(kind), parse_config(make_file(kind), "here")
    assert found is not None
    switches = dict(_AS_STORED)
    if "efficientnet" in kind:
        switches["include_top"] = False
    if "mobilevit" in kind:  # which never normalizes
        del switches["do_normalize"]
    for height, width in list_sizes()[:: 15 if kind in _WIDE else 1]:
        for mode in MODES if kind in _FIRST else ("RGB",):
            image = make_photo(height, width, mode)
            stored = run(processor, image, **switches)
            target = make_input(3, *stored.shape[1:])
            pixels = shape_image(image, target, found)
            if found.channels == "bgr":
                pixels = pixels[..., ::-1]
            expected = stored.transpose(1, 2, 0)
            np.testing.assert_array_equal(np.broadcast_to(pixels, expected.shape), expected)
            if mode == "RGB" or (height, width) == list_sizes()[0]:  # modes differ only before this
                inputs = prepare_image(image, target, found)
                assert np.abs(inputs - run(processor, image)).max() <= 1e-6


def test_every_processor_is_compared() -> None:
    assert {name for _, name, _ in FILES.values()} == PROCESSORS.keys()
    assert len(set(list_sizes())) == 30


@pytest.mark.parametrize("name", sorted({name for _, name, _ in FILES.values()}))
def test_what_is_not_written_is_as_by_default(name: str) -> None:
    kind = next(kind for kind, (_, each, _) in FILES.items() if each == name)
    bare = parse_config({"image_processor_type": f"{name}ImageProcessor"}, "here")
    full = parse_config(_fill(kind), "here")
    assert bare == full
    older = parse_config({"feature_extractor_type": f"{name}FeatureExtractor"}, "here")
    assert older == bare == parse_config(_rename(name, "ImageProcessorFast"), "here")


def _fill(kind: str) -> dict[str, Any]:
    """A file as transformers writes it: with every field."""
    processor = type(make_processor(kind))()
    return {**processor.to_dict(), "_note": "not read"}


def _rename(name: str, ending: str) -> dict[str, str]:
    return {"image_processor_type": f"{name}{ending}"}
