"""Images for a detector, with boxes where they are given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nhle_onnx.data.boxes.coco import read_coco
from nhle_onnx.data.boxes.voc import read_voc
from nhle_onnx.data.boxes.written import Written
from nhle_onnx.data.boxes.yolo import read_yolo
from nhle_onnx.data.folders import FolderSamples
from nhle_onnx.data.preprocess import place_points, require_pictures, require_preprocess
from nhle_onnx.data.tree import describe_skipped, scan
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.inputs import watch_inputs
from nhle_onnx.graph.regular_files import open_regular
from nhle_onnx.values.boxes import Boxes, make_boxes
from nhle_onnx.values.preprocess import ImageInput, Preprocess

Read = Callable[[Path, Sequence[Path], Sequence[str]], Mapping[Path, Written]]
# To read another format of boxes, write a file and add a row.
READERS: dict[str, Read] = {"coco": read_coco, "yolo": read_yolo, "voc": read_voc}


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSource:
    """Images below a folder, with the `boxes` of each in pixels of the model's input; None for an
    image that nothing describes.
    """

    images: FolderSamples
    boxes: tuple[Boxes | None, ...]

    @property
    def path(self) -> Path:
        """The folder of the images."""
        return self.images.path

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, for the report."""
        return self.images.notes

    def choose(self, places: Sequence[int]) -> "SceneSource":
        """Return the images at the given places."""
        images = replace(
            self.images,
            files=tuple(self.images.files[place] for place in places),
            classes=np.zeros(len(places), np.int64),
        )
        return SceneSource(images=images, boxes=tuple(self.boxes[place] for place in places))

    def read(self) -> npt.NDArray[np.float32]:
        """Read all images, as model inputs [N, ...]."""
        return self.images.read(range(len(self.boxes)))


def open_scenes(
    path: Path, target: ImageInput, preprocess: Preprocess | None, labels: Sequence[str]
) -> SceneSource:
    """Open all images below a folder, and whatever says what they show.

    Raises InputRefusedError where there are none, or where boxes cannot be read.
    """
    require_pictures(target, path)
    required = require_preprocess(preprocess, path)
    if not path.is_dir():
        message = f"{path} is not a folder of images"
        raise InputRefusedError(message, remedy="Give a folder of images, with or without boxes.")
    tree = scan(path)
    files = tuple(image.path for image in tree.images)
    if not files:
        message = f"{path} holds no images"
        raise InputRefusedError(message, remedy="Give a folder of images, with or without boxes.")
    watch_inputs(files)
    written: dict[Path, Written] = {}
    for read in READERS.values():
        written = {**read(path, files, labels), **written}
    images = FolderSamples(
        path=path,
        files=files,
        classes=np.zeros(len(files), np.int64),
        target=target,
        preprocess=required,
        notes=describe_skipped(path, len(files), tree.skipped),
    )
    return SceneSource(
        images=images,
        boxes=tuple(
            _place(file, written[file], required) if file in written else None for file in files
        ),
    )


def _place(file: Path, written: Written, preprocess: Preprocess) -> Boxes:
    """Return boxes in pixels of the model's input; those that lie outside it are left out."""
    with open_regular(file) as stream, Image.open(stream) as image:
        width, height = image.size
    boxes = make_boxes(written.corners, written.classes)
    if written.is_relative:
        boxes = boxes._replace(corners=boxes.corners * np.array([width, height] * 2, np.float32))
    points = place_points(boxes.corners.reshape(-1, 2), (height, width), preprocess)
    placed = boxes._replace(corners=points.reshape(-1, 4))
    return placed.choose(np.flatnonzero((placed.corners[:, 2:] > 0).all(1)))
