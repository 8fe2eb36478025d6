"""Boxes as COCO, YOLO's tools and Pascal VOC write them come to lie where the image does."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nhle_onnx.data.boxes.scenes import open_scenes
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.boxes import Boxes
from nhle_onnx.values.preprocess import ImageInput, Preprocess

LABELS = ("cup", "hat", "key")
TARGET = ImageInput(
    name="images", dtype="float32", batch=None, channels=3, height=20, width=20, layout="NCHW"
)
SQUASHED = Preprocess(source="test", size=(20, 20))
LETTERBOX = Preprocess(
    source="test", size=(20, 20), fit="contain", crop=(20, 20), centre="round", pad=(114,)
)
# an image of 40 x 20 with a hat from (10, 5) to (30, 15), in each way of writing
COCO = {
    "images": [{"id": 7, "file_name": "train/one.png"}],
    "categories": [{"id": 3, "name": "hat"}],
    "annotations": [
        {"image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 10]},
        {"image_id": 7, "category_id": 3, "bbox": [0, 0, 40, 20], "iscrowd": 1},
    ],
}
VOC = """<annotation><object><name>hat</name><bndbox>
<xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>15</ymax></bndbox></object></annotation>"""
WRITTEN = {
    "annotations.json": json.dumps(COCO),
    "one.txt": "1 0.5 0.5 0.5 0.5\n",
    "one.xml": VOC,
}


def write(folder: Path, name: str, text: str) -> Path:
    Image.new("RGB", (40, 20)).save(folder / "one.png")
    (folder / name).write_text(text, "utf-8")
    return folder


def read(folder: Path, preprocess: Preprocess = SQUASHED) -> Boxes | None:
    return open_scenes(folder, TARGET, preprocess, LABELS).boxes[0]


@pytest.mark.parametrize("name", WRITTEN)
def test_each_way_of_writing_gives_the_same_box(tmp_path: Path, name: str) -> None:
    found = read(write(tmp_path, name, WRITTEN[name]))
    assert found is not None
    np.testing.assert_allclose(found.corners, [[5, 5, 15, 15]])
    assert found.classes.tolist() == [1]


def test_borders_move_boxes(tmp_path: Path) -> None:
    found = read(write(tmp_path, "one.txt", WRITTEN["one.txt"]), LETTERBOX)
    assert found is not None
    np.testing.assert_allclose(found.corners, [[5, 7.5, 15, 12.5]])


def test_a_polygon_is_enclosed(tmp_path: Path) -> None:
    found = read(write(tmp_path, "one.txt", "\n0 .25 .25 .75 .5 .5 .75\n \n"))
    assert found is not None
    np.testing.assert_allclose(found.corners, [[5, 5, 15, 15]])


def test_labels_lie_beside_images_in_folders_of_their_own(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (40, 20)).save(tmp_path / "images" / "one.png")
    (tmp_path / "labels" / "one.txt").write_text("", "utf-8")
    found = read(tmp_path)
    assert found is not None
    assert len(found.classes) == 0


def test_an_image_that_nothing_describes_has_no_boxes(tmp_path: Path) -> None:
    assert read(write(tmp_path, "other.json", "{}")) is None


def test_a_place_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("")
    for place, reason in ((tmp_path, "holds no images"), (tmp_path / "one.txt", "is not a folder")):
        with pytest.raises(InputRefusedError, match=reason):
            open_scenes(place, TARGET, SQUASHED, LABELS)


def test_a_crop_by_shares_moves_no_boxes(tmp_path: Path) -> None:
    cut = Preprocess(source="test", crop_share=(0.9, 0.9), size=(20, 20))
    with pytest.raises(InputRefusedError, match="which boxes cannot follow"):
        read(write(tmp_path, "one.txt", WRITTEN["one.txt"]), cut)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("one.txt", "9 .5 .5 .5 .5\n", "has class 9"),
        ("one.txt", "1 .5 x .5 .5\n", "is not what YOLO writes"),
        ("one.txt", "1 .5 nan .5 .5\n", "is not what YOLO writes"),
        ("one.txt", "1 .5 .5 .5 .5 .5 .5 .5\n", "a line has 7 numbers"),
        ("boxes.json", json.dumps(COCO).replace("10", "Infinity", 1), "is not what COCO writes"),
        ("one.xml", VOC.replace("hat", "boat"), "does not have"),
        ("one.xml", "<annotation>", "is not what Pascal VOC writes"),
        ("boxes.json", json.dumps(COCO | {"annotations": [{}]}), "is not what COCO writes"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str, text: str, reason: str) -> None:
    with pytest.raises(InputRefusedError, match=reason):
        read(write(tmp_path, name, text))
