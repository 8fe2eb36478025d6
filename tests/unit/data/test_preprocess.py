"""Preprocessing: where it is found, and that it computes what the sidecar's authors compute."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nhle_onnx.data.preprocess import prepare_image
from nhle_onnx.data.preprocess_sources import find_preprocess, parse_config
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.image_input import read_image_input
from nhle_onnx.graph.load import load_model
from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.values.settings.model import PreprocessFlags
from support.inputs import make_input
from support.shipped import LENET, MOBILENET


def make_image(height: int, width: int) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_values_and_axes_are_those_of_numpy(layout: str) -> None:
    image = make_image(8, 6)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    prepared = prepare_image(
        image, make_input(layout=layout), Preprocess(source="test", mean=mean, std=std)
    )
    expected = (np.asarray(image) / 255 - mean) / std
    axes = (2, 0, 1) if layout == "NCHW" else (0, 1, 2)
    np.testing.assert_allclose(prepared, expected.transpose(axes), rtol=1e-5)
    assert prepared.dtype == np.float32


def test_grey_becomes_colour_and_back() -> None:
    grey = Image.new("L", (6, 8), 100)
    assert prepare_image(grey, make_input(), Preprocess(source="test")).shape == (3, 8, 6)
    assert prepare_image(make_image(8, 6), make_input(1), Preprocess(source="test")).shape == (
        1,
        8,
        6,
    )


def test_shortest_edge_then_centre_crop() -> None:
    """The usual evaluation transform: the shorter side to 16, then the middle 8 x 6."""
    image = make_image(20, 40)
    preprocess = Preprocess(source="test", shortest_edge=16, crop=(8, 6), scale=1.0)
    resized = image.resize((32, 16), Image.Resampling.BILINEAR)
    expected = np.asarray(resized)[4:12, 13:19].transpose(2, 0, 1)
    np.testing.assert_array_equal(prepare_image(image, make_input(), preprocess), expected)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ({"height": 8, "width": 6}, ((8, 6), None)),
        ({"shortest_edge": 9}, (None, 9)),
        ([8, 6], ((8, 6), None)),
    ],
)
def test_sizes_of_hugging_face_are_read(size: object, expected: tuple[object, object]) -> None:
    found = parse_config({"size": size, "image_mean": [0.5], "image_std": [0.5]}, "here")
    assert found is not None
    assert (found.size, found.shortest_edge) == expected


def test_what_hugging_face_switches_off_is_not_done() -> None:
    config = {
        "do_resize": False,
        "do_rescale": False,
        "do_normalize": False,
        "size": {"shortest_edge": 224},
        "image_mean": [9.0],
        "rescale_factor": 7.0,
    }
    found = parse_config(config, "here")
    assert found == Preprocess(source="here", upright=True, scale=1.0)


def test_a_rescale_offset_centres_the_range() -> None:
    found = parse_config({"rescale_factor": 1 / 127.5, "rescale_offset": True}, "here")
    assert found is not None
    assert found.scale * 255 + found.offset == pytest.approx(1.0)
    assert found.offset == -1.0


def test_a_config_of_timm_is_read() -> None:
    config = {
        "pretrained_cfg": {
            "input_size": [3, 224, 224],
            "interpolation": "bicubic",
            "crop_pct": 0.875,
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        }
    }
    found = parse_config(config, "here")
    assert found is not None
    assert (found.shortest_edge, found.crop, found.resample) == (256, (224, 224), 3)


def test_unrelated_config_says_nothing() -> None:
    assert parse_config({"architectures": ["Net"], "id2label": {"0": "a"}}, "here") is None


def find(path: Path, **flags: object) -> Preprocess | None:
    model = load_model(path)
    return find_preprocess(model, read_image_input(model), PreprocessFlags(**flags))


def test_sidecar_is_found_and_flags_win() -> None:
    found = find(MOBILENET)
    assert found is not None
    assert found.source.endswith("preprocessor_config.json")
    assert found.mean == (0.286,) * 3
    changed = find(MOBILENET, mean=(0.5,), pixel_range=(-1.0, 1.0))
    assert changed is not None
    assert (changed.mean, changed.std) == ((0.5,), (0.353,) * 3)
    assert (changed.scale, changed.offset) == (2 / 255, -1.0)
    assert changed.source.startswith("flags over")


def test_metadata_is_read(lenet_copy: Path) -> None:
    sidecar = lenet_copy.with_name("preprocessor_config.json")
    model = load_model(lenet_copy)
    model.proto.metadata_props.add(key="preprocessor_config", value=sidecar.read_text())
    sidecar.unlink()
    lenet_copy.write_bytes(model.proto.SerializeToString())
    found = find(lenet_copy)
    assert found is not None
    assert found.source.startswith("metadata")


def test_nothing_is_guessed(lenet_copy: Path) -> None:
    lenet_copy.with_name("preprocessor_config.json").unlink()
    assert find(lenet_copy) is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"image_mean": "x"}',
        '{"image_mean": [0.5, 0.5], "image_std": [1]}',
        '{"image_mean": [0.5], "fit": "contain", "pad_color": [900]}',
    ],
)
def test_a_broken_sidecar_is_refused(lenet_copy: Path, text: str) -> None:
    lenet_copy.with_name("preprocessor_config.json").write_text(text)
    with pytest.raises(InputRefusedError):
        find(lenet_copy)


def test_a_std_of_zero_is_refused() -> None:
    with pytest.raises(InputRefusedError, match="std of 0"):
        find(LENET, std=(0.0,))


@given(st.sampled_from(["NCHW", "NHWC"]), st.integers(1, 40), st.integers(1, 40))
def test_any_image_fits_after_a_resize(layout: str, height: int, width: int) -> None:
    target = make_input(layout=layout)
    prepared = prepare_image(
        make_image(height, width), target, Preprocess(source="test", size=(8, 6))
    )
    assert prepared.shape == target.sample_shape


def test_the_shipped_sidecars_are_in_the_hugging_face_form() -> None:
    for path in (LENET, MOBILENET):
        config = json.loads(path.with_name("preprocessor_config.json").read_text())
        assert {"do_resize", "size", "resample", "do_rescale", "rescale_factor", "do_normalize",
                "image_mean", "image_std"} <= config.keys()  # fmt: skip
