"""Files of other writers, from their published rules; presets, flags, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from PIL import Image

from nhle_onnx.data.preprocess import prepare_image, shape_image
from nhle_onnx.data.preprocess_sources import find_preprocess
from nhle_onnx.data.presets import BY_NAME
from nhle_onnx.data.processors import ultralytics
from nhle_onnx.data.processors.choose import parse_config
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.load import load_model
from nhle_onnx.values.preprocess import PRESET_NAMES, Preprocess
from nhle_onnx.values.settings.model import PreprocessFlags
from nhle_onnx.workflows.companions import render_preprocess
from support.inputs import make_input
from support.processor_files import MODES, list_sizes, make_file, make_photo
from support.shipped import LENET

MODEL = load_model(LENET)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BILINEAR, BICUBIC = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC


def read(config: dict[str, Any]) -> Preprocess:
    found = parse_config(config, "here")
    assert found is not None
    return found


def resize_edge(image: Image.Image, edge: int, resample: Image.Resampling) -> Image.Image:
    """torchvision/transforms/functional.py, `_compute_resized_output_size`: floored."""
    width, height = image.size
    if width <= height:
        return image.resize((edge, int(edge * height / width)), resample)
    return image.resize((int(edge * width / height), edge), resample)


def crop_centre(
    image: Image.Image, height: int, width: int, fill: int | tuple[int, ...] = 0
) -> np.ndarray:
    """torchvision/transforms/functional.py, `center_crop`: pads, then rounds half to even."""
    pixels = np.asarray(image)
    for axis, wanted in ((0, height), (1, width)):
        missing = wanted - pixels.shape[axis]
        if missing > 0:
            border = [list(pixels.shape) for _ in range(2)]
            border[0][axis], border[1][axis] = missing // 2, (missing + 1) // 2
            sides = [np.full(shape, fill, np.uint8) for shape in border]
            pixels = np.concatenate([sides[0], pixels, sides[1]], axis)
        start = round((pixels.shape[axis] - wanted) / 2)
        pixels = pixels.take(range(start, start + wanted), axis)
    return pixels


def fit(image: Image.Image, height: int, width: int, longest: bool) -> Image.Image:  # noqa: FBT001
    """timm 1.0.31, data/transforms.py, `ResizeKeepRatio.get_params`."""
    ratios = (image.height / height, image.width / width)
    ratio = max(ratios) if longest else min(ratios)
    return image.resize((round(image.width / ratio), round(image.height / ratio)), BILINEAR)


def timm(**fields: object) -> dict[str, Any]:
    return {"architecture": "net", "pretrained_cfg": {"tag": "a1", "first_conv": "conv1", **fields}}


# What a file says, and what its writer's code makes of an RGB image.
CASES: dict[str, tuple[dict[str, Any], Any]] = {
    "timm": (
        timm(input_size=[3, 24, 24], crop_pct=0.95, interpolation="bilinear"),
        lambda image: crop_centre(resize_edge(image, 25, BILINEAR), 24, 24),  # floor(24 / 0.95)
    ),
    "timm, by default": (
        timm(input_size=[3, 28, 28]),
        lambda image: crop_centre(resize_edge(image, 32, BICUBIC), 28, 28),
    ),
    "timm, squash": (
        timm(input_size=[3, 24, 20], crop_pct=0.9, crop_mode="squash"),
        lambda image: crop_centre(image.resize((22, 26), BICUBIC), 24, 20),
    ),
    "timm, border": (
        timm(input_size=[3, 24, 24], crop_pct=1.0, crop_mode="border", interpolation="bilinear"),
        lambda image: crop_centre(fit(image, 24, 24, longest=True), 24, 24, (124, 116, 104)),
    ),
    "timm, across": (
        timm(input_size=[3, 24, 18], crop_pct=0.875, interpolation="bilinear"),
        lambda image: crop_centre(fit(image, 27, 20, longest=False), 24, 18),
    ),
    "torchvision": (
        {"crop_size": [24], "resize_size": [27], "mean": MEAN, "std": STD, "antialias": True,
         "interpolation": "InterpolationMode.BILINEAR"},
        lambda image: crop_centre(resize_edge(image, 27, BILINEAR), 24, 24),
    ),
    "torchvision, larger crop": (
        {"crop_size": 29, "resize_size": 24, "interpolation": "bicubic"},
        lambda image: crop_centre(resize_edge(image, 24, BICUBIC), 29, 29),
    ),
    "keras, caffe": (
        {"mode": "caffe", "target_size": [24, 20]},
        lambda image: np.asarray(image.resize((20, 24), Image.Resampling.NEAREST)),
    ),
    "keras, tf": (
        {"mode": "tf", "target_size": [24, 24], "interpolation": "bilinear"},
        lambda image: np.asarray(image.resize((24, 24), BILINEAR)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_pixels_follow_the_published_rules(kind: str) -> None:
    config, expect = CASES[kind]
    found = read(config)
    for height, width in list_sizes():
        for mode in MODES if height == 31 else ("RGB", "L"):
            image = make_photo(height, width, mode)
            expected = expect(image.convert("RGB"))
            pixels = shape_image(image, make_input(3, *expected.shape[:2]), found)
            np.testing.assert_array_equal(np.broadcast_to(pixels, expected.shape), expected)


def test_ultralytics_crops_squares_and_squashes_others() -> None:
    metadata = {"author": "Ultralytics", "task": "classify", "imgsz": "[24, 24]"}
    assert ultralytics.is_ultralytics(metadata)
    for size, expect in (
        ("[24, 24]", lambda image: crop_centre(resize_edge(image, 24, BILINEAR), 24, 24)),
        ("24", lambda image: crop_centre(resize_edge(image, 24, BILINEAR), 24, 24)),
        ("(20, 24)", lambda image: np.asarray(image.resize((24, 20), BILINEAR))),
    ):
        found = ultralytics.parse({**metadata, "imgsz": size}, "here")
        for height, width in list_sizes():
            image = make_photo(height, width, "RGB")
            expected = expect(image)
            inputs = prepare_image(image, make_input(3, *expected.shape[:2]), found)
            np.testing.assert_allclose(inputs, expected.transpose(2, 0, 1) / 255, atol=1e-6)


def test_a_processor_may_be_described_inside_of_another() -> None:
    """As processors of images and texts are saved."""
    inner = {"image_processor_type": "ViTImageProcessor", "size": 24}
    assert read({"processor_class": "X", "image_processor": inner}) == read(inner)


def test_what_is_not_resized_keeps_its_size() -> None:
    kept = {"do_resize": False, "size": 28, "crop_size": 24}
    found = read({"image_processor_type": "MobileViTImageProcessor", **kept})
    image = make_photo(40, 30, "RGB")
    inputs = prepare_image(image, make_input(3, 24, 24), found)
    expected = crop_centre(image, 24, 24)[..., ::-1].transpose(2, 0, 1) / 255
    np.testing.assert_allclose(inputs, expected, atol=1e-6)


def test_ultralytics_puts_borders_around_what_a_detector_sees() -> None:
    metadata = {"author": "Ultralytics", "task": "detect", "imgsz": "[24, 32]"}
    found = ultralytics.parse(metadata, "here")
    image = Image.new("RGB", (16, 6), (255, 0, 0))
    inputs = prepare_image(image, make_input(3, 24, 32), found)
    rows = (inputs[0] == 1).all(1)
    assert rows.tolist() == [*[False] * 6, *[True] * 12, *[False] * 6]
    np.testing.assert_allclose(inputs[:, ~rows], 114 / 255, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "pose"},
        {"imgsz": "os.getcwd()"},
        {"imgsz": "[1, 2, 3]"},
        {"imgsz": f"[{' ' * 2**20}24, 24]"},
    ],
)
def test_other_ultralytics_models_are_refused(changes: dict[str, str], lenet_copy: Path) -> None:
    lenet_copy.with_name("preprocessor_config.json").unlink()
    model = load_model(lenet_copy)
    for key, value in {"author": "Ultralytics", "imgsz": "[28, 28]", **changes}.items():
        model.proto.metadata_props.add(key=key, value=value)
    with pytest.raises(InputRefusedError):
        find_preprocess(model, make_input(), PreprocessFlags())


def test_keras_modes_compute_what_keras_computes() -> None:
    image = make_photo(8, 6, "RGB")
    pixels = np.asarray(image, np.float64)
    expected = {  # keras/src/applications/imagenet_utils.py, `_preprocess_numpy_input`
        "caffe": pixels[..., ::-1] - (103.939, 116.779, 123.68),
        "tf": pixels / 127.5 - 1,
        "torch": (pixels / 255 - MEAN) / STD,
    }
    for mode, wanted in expected.items():
        inputs = prepare_image(image, make_input(layout="NHWC"), read({"mode": mode}))
        np.testing.assert_allclose(inputs, wanted, atol=2e-5 if mode == "caffe" else 1e-6)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"image_processor_type": "DonutImageProcessor", "size": 9}, "image_processor_type"),
        ({"feature_extractor_type": "ImageGPTFeatureExtractor"}, "feature_extractor_type"),
        ({**make_file("vit"), "do_pad": True}, "do_pad"),
        ({**make_file("vit"), "crop_pct": 0.9}, "crop_pct"),
        ({**make_file("vit"), "size": {"longest_edge": 9}}, "size"),
        ({**make_file("vit"), "size": {"height": 9, "width": 9, "depth": 9}}, "size"),
        ({**make_file("clip"), "size": {"shortest_edge": 9, "fixed": 1}}, "size"),
        ({**make_file("clip"), "use_square_size": True}, "use_square_size"),
        ({**make_file("clip"), "auto_map": {"AutoImageProcessor": "x.y"}}, "auto_map"),
        ({**make_file("convnext"), "size": {"height": 9, "width": 9}}, "size"),
        ({**make_file("mobilevit"), "image_mean": [0.5]}, "image_mean"),
        ({**make_file("perceiver"), "do_resize": False}, "do_resize"),
        ({**make_file("vit"), "do_rescale": "yes"}, "do_rescale"),
        ({**make_file("vit"), "resample": "cubic spline"}, "resample"),
        ({"image_mean": [0.5], "size": 24}, "size"),
        ({"image_mean": [0.5], "fit": "stretch"}, "fit"),
        ({"image_mean": [0.5], "gamma": 2.2}, "gamma"),
        (timm(crop_mode="random"), "crop_mode"),
        (timm(interpolation="random"), "interpolation"),
        (timm(crop_border_pixels=4), "crop_border_pixels"),
        ({"crop_size": 9, "resize_size": 9, "gamma": 2}, "gamma"),
        ({"mode": "tf", "keep_aspect_ratio": True}, "keep_aspect_ratio"),
        ({"mode": "tf", "color_mode": "rgba"}, "color_mode"),
    ],
)
def test_a_field_that_is_not_understood_is_named(config: dict[str, Any], name: str) -> None:
    with pytest.raises(InputRefusedError, match=f"here says {name} = .* not understood"):
        parse_config(config, "here")


@pytest.mark.parametrize(
    "rest",
    [
        {"do_pad": None, "pad_size": None, "crop_size": None, "do_center_crop": None},
        {"do_pad": False, "_commit_hash": "ab", "processor_class": "X"},
        {"data_format": "channels_first", "return_tensors": "np", "do_convert_rgb": True},
    ],
)
def test_what_is_switched_off_or_changes_no_pixels_is_skipped(rest: dict[str, Any]) -> None:
    assert parse_config({**make_file("vit"), **rest}, "here") == read(make_file("vit"))


def test_the_config_of_the_model_names_the_processor_of_old_files(lenet_copy: Path) -> None:
    """google/vit-base-patch16-224 is such a file: an integer size, and no processor."""
    old = {"size": 28, "image_mean": [0.5], "image_std": [0.5], "do_resize": True}
    lenet_copy.with_name("preprocessor_config.json").write_text(json.dumps(old))
    model = load_model(lenet_copy)
    target = make_input(1, 28, 28)
    with pytest.raises(InputRefusedError, match="size = 28"):
        find_preprocess(model, target, PreprocessFlags())
    lenet_copy.with_name("config.json").write_text('{"model_type": "vit"}')
    found = find_preprocess(model, target, PreprocessFlags())
    assert found is not None
    assert found.size == (28, 28)


def find(**flags: object) -> Preprocess | None:
    model = load_model(LENET)
    return find_preprocess(model, make_input(3, 24, 24), PreprocessFlags(**flags))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"resize": "squash"}, {"size": (24, 24), "crop": (24, 24)}),
        ({"resize": "shortest"}, {"shortest_edge": 24, "crop": (24, 24)}),
        (
            {"resize": "shortest", "size": (24, 12)},
            {"size": (24, 12), "fit": "cover", "crop": (24, 12), "shortest_edge": None},
        ),
        ({"resize": "longest"}, {"size": (24, 24), "fit": "contain", "crop": (24, 24)}),
        ({"crop_pct": 0.95}, {"shortest_edge": 25, "crop": (24, 24)}),
        ({"crop_pct": 0.5, "resize": "squash"}, {"size": (48, 48), "crop": (24, 24)}),
        ({"size": (24, 24)}, {"size": (24, 24), "crop": None}),
        ({"channels": "bgr"}, {"channels": "bgr"}),
        ({"resample": "bicubic"}, {"resample": 3}),
        ({"file": "caffe", "mean": (9.0,)}, {"channels": "bgr", "mean": (9.0,), "scale": 1.0}),
        ({"file": "-1-1"}, {"scale": 2 / 255, "offset": -1.0, "size": (24, 24)}),
        ({"file": "ultralytics"}, {"shortest_edge": 24, "crop": (24, 24), "scale": 1 / 255}),
        ({"file": "torchvision"}, {"shortest_edge": 27, "crop": (24, 24), "mean": MEAN}),
    ],
)
def test_flags_and_presets(flags: dict[str, Any], expected: dict[str, Any]) -> None:
    found = find(**flags)
    assert {name: getattr(found, name) for name in expected} == expected


def test_an_unknown_preset_is_refused_with_what_was_meant() -> None:
    with pytest.raises(InputRefusedError, match="imagnet is neither a file nor a preset") as raised:
        find(file="imagnet")
    assert raised.value.remedy.startswith("Did you mean imagenet? ")
    assert tuple(BY_NAME) == PRESET_NAMES


def test_grey_models_are_not_bgr() -> None:
    with pytest.raises(InputRefusedError, match="takes no colours"):
        find_preprocess(load_model(LENET), make_input(1, 28, 28), PreprocessFlags(channels="bgr"))


@pytest.mark.parametrize("kind", ["mobilevit", "efficientnet", "perceiver", "clip", "deit"])
def test_what_is_written_beside_an_edited_model_reads_as_before(kind: str) -> None:
    found = read(make_file(kind))
    again = read(json.loads(render_preprocess(found)))
    unused = {"resample": found.resample}
    assert replace(again, **unused) == found


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_presets_can_be_written_too(preset: str) -> None:
    target = make_input(3, 24, 24)
    found = replace(BY_NAME[preset].apply(target), source="here")
    again = read(json.loads(render_preprocess(found)))
    image = make_photo(31, 40, "RGB")
    inputs = [prepare_image(image, target, each) for each in (found, again)]
    np.testing.assert_allclose(inputs[1], inputs[0], rtol=1e-6, atol=1e-6)


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 400), st.floats(), st.text(max_size=3),
    st.lists(st.integers(-1, 300), max_size=4),
    st.dictionaries(st.sampled_from(["height", "width", "shortest_edge"]), st.integers(-1, 300)),
)  # fmt: skip
FIELDS = (
    "size", "crop_size", "resample", "image_mean", "image_std", "do_resize", "do_rescale", "fit",
    "rescale_factor", "crop_pct", "input_size", "crop_mode", "interpolation", "mean", "std", "mode",
    "resize_size", "target_size", "pad_color", "crop_share", "include_top", "do_center_crop",
)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(FIELDS), ODD, max_size=6),
    st.sampled_from(["ViT", "DeiT", "CLIP", "Levit", "ConvNext", "PoolFormer", "MobileViT",
                     "EfficientNet", "Perceiver", "", "timm"]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_odd_fields_are_read_or_refused(fields: dict[str, Any], writer: str) -> None:
    config: dict[str, Any] = {"pretrained_cfg": fields} if writer == "timm" else dict(fields)
    if writer not in {"", "timm"}:
        config["image_processor_type"] = f"{writer}ImageProcessor"
    target = make_input(3, 24, 24)
    proto = ModelProto()
    proto.metadata_props.add(key="preprocessor_config", value=json.dumps(config))
    model = replace(MODEL, path=Path("no/model.onnx"), proto=proto)
    try:
        found = find_preprocess(model, target, PreprocessFlags())
        if found:
            assert prepare_image(make_photo(31, 25, "RGB"), target, found).shape == (3, 24, 24)
    except InputRefusedError:
        return
