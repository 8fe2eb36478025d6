"""Preprocessing from end to end: the same pixels give the same accuracy, whoever describes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from nhle_onnx.data.labels import find_labels
from nhle_onnx.data.preprocess_sources import find_preprocess
from nhle_onnx.data.samples import open_samples
from nhle_onnx.graph.image_input import read_image_input
from nhle_onnx.graph.load import load_model
from nhle_onnx.values.settings.model import PreprocessFlags
from support.runs import Nhle
from support.shipped import LENET, MOBILENET, SAMPLES

GREY = {"image_mean": [0.286], "image_std": [0.353]}
SQUARE = {"height": 28, "width": 28}
# Files of each kind that describe the preprocessing of the shipped LeNet-5.
SAME = {
    "vit": {"image_processor_type": "ViTImageProcessor", "size": 28, **GREY},
    "vit, older": {"feature_extractor_type": "ViTFeatureExtractor", "size": [28, 28], **GREY},
    "segformer": {"image_processor_type": "SegformerImageProcessor", "size": SQUARE, **GREY},
    "deit": {
        "image_processor_type": "DeiTImageProcessor", "size": 28, "crop_size": 28, "resample": 2,
        **GREY,
    },
    "clip": {
        "image_processor_type": "CLIPImageProcessor", "size": 28, "crop_size": 28, "resample": 2,
        **GREY,
    },
    "levit": {
        "image_processor_type": "LevitImageProcessor", "size": SQUARE, "do_center_crop": False,
        "resample": 2, **GREY,
    },
    "convnext": {
        "image_processor_type": "ConvNextImageProcessor", "size": 28, "crop_pct": 1.0, **GREY
    },
    "poolformer": {
        "image_processor_type": "PoolFormerImageProcessor", "size": 28, "crop_pct": 1.0,
        "crop_size": 28, "resample": 2, **GREY,
    },
    "efficientnet": {
        "image_processor_type": "EfficientNetImageProcessor", "size": 28, "resample": 2,
        "include_top": False, **GREY,
    },
    "perceiver": {
        "image_processor_type": "PerceiverImageProcessor", "size": 28, "crop_size": 28,
        "resample": 2, **GREY,
    },
    "timm": {
        "pretrained_cfg": {
            "input_size": [1, 28, 28], "crop_pct": 1.0, "interpolation": "bilinear",
            "mean": [0.286], "std": [0.353],
        }
    },
    "torchvision": {"crop_size": 28, "resize_size": 28, "mean": [0.286], "std": [0.353]},
}  # fmt: skip


def read_all(model_path: Path) -> np.ndarray:
    model = load_model(model_path)
    target = read_image_input(model)
    found = find_preprocess(model, target, PreprocessFlags())
    source = open_samples(SAMPLES, target, found, find_labels(model, 10, None))
    return source.read(range(len(source.classes)))


@pytest.mark.parametrize("kind", SAME)
def test_the_same_pixels_whoever_describes_them(kind: str, lenet_copy: Path) -> None:
    expected = read_all(LENET)
    lenet_copy.with_name("preprocessor_config.json").write_text(json.dumps(SAME[kind]))
    np.testing.assert_array_equal(read_all(lenet_copy), expected)


def flip_input(source: Path, target: Path) -> None:
    """Write a model that takes blue first, and unscaled pixels, as Caffe's do."""
    model = onnx.load(source)
    (value,) = model.graph.input
    name = value.name
    for node in model.graph.node:
        for place, each in enumerate(node.input):
            if each == name:
                node.input[place] = "turned"
    order = numpy_helper.from_array(np.array([2, 1, 0], np.int64), "order")
    model.graph.initializer.append(order)
    model.graph.node.insert(0, helper.make_node("Gather", [name, "order"], ["turned"], axis=1))
    onnx.save(model, target)


def save_tinted(path: Path) -> None:
    """Save the shipped samples in colours that the models know only with red first."""
    with np.load(SAMPLES / "evaluation.npz") as stored:
        grey, classes = stored["x"][:300], stored["y"][:300]
    np.savez(path, x=np.stack([grey, grey // 4, grey // 16], axis=-1), y=classes)


def test_a_model_that_takes_blue_first_is_right_by_its_file(nhle: Nhle, tmp_path: Path) -> None:
    flip_input(MOBILENET, tmp_path / "model.onnx")
    save_tinted(tmp_path / "tinted.npz")
    config = json.loads(MOBILENET.with_name("preprocessor_config.json").read_text())

    def judge(model: Path, **fields: bool) -> dict[str, Any]:
        sidecar = tmp_path / "config.json"
        sidecar.write_text(json.dumps({**config, **fields}))
        data = ("--data", tmp_path / "tinted.npz", "--preprocess", sidecar, "--json")
        return json.loads(nhle("verify", model, "--forget", 3, *data).out)["after"]

    expected = judge(MOBILENET)
    assert judge(tmp_path / "model.onnx", do_flip_channel_order=True) == expected
    assert judge(tmp_path / "model.onnx") != expected


def test_inspect_says_which_preprocessing_works(nhle: Nhle) -> None:
    result = nhle("inspect", MOBILENET, "--data", SAMPLES, "--range", "0,255", "--json")
    trials = json.loads(result.out)["trials"]
    accuracies = [trial["accuracy"] for trial in trials["tried"]]
    assert accuracies == sorted(accuracies, reverse=True)
    assert trials["tried"][0]["options"] == "range=(0, 1)"
    assert trials["images"] == 96
    text = nhle("inspect", MOBILENET, "--data", SAMPLES, "--range", "0,255").out
    first = next(line for line in text.splitlines() if line.startswith("accuracy"))
    assert first.split()[2:5] == ["--range", "0,1", "(96"]
    assert any("as found" in line for line in text.splitlines())
    assert "proposal --range 0,1" in text


def test_unlearn_and_verify_say_what_was_left_out(nhle: Nhle, tmp_path: Path) -> None:
    for folder in SAMPLES.iterdir():
        if folder.is_dir():
            (tmp_path / folder.name).symlink_to(folder)
    (tmp_path / "Extra").mkdir()
    (tmp_path / "Extra" / "scan.tif").write_bytes(b"x")
    said = "1 .tif is not read"
    assert said in nhle("verify", LENET, "--forget", 3, "--data", tmp_path).err
    result = nhle(
        "unlearn", LENET, "--forget", 3, "--samples", tmp_path, "--method", "cwm", "--dry-run"
    )
    assert said in result.out + result.err
