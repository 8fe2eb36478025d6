"""Scenes as files: images, and their boxes as COCO writes them."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from recipes import fashion_mnist
from recipes.detection.composites import EXTENT, Scene

_QUALITY = 88


def write_scenes(scenes: Sequence[Scene], folder: Path) -> None:
    """Write `NNN.jpg` and `annotations.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for position, scene in enumerate(scenes):
        (folder / f"{position:03d}.jpg").write_bytes(_encode(scene))
    document = {
        "images": [
            {"id": position, "file_name": f"{position:03d}.jpg", "width": EXTENT, "height": EXTENT}
            for position in range(len(scenes))
        ],
        "categories": [
            {"id": index, "name": label} for index, label in enumerate(fashion_mnist.LABELS)
        ],
        "annotations": _list_annotations(scenes),
    }
    (folder / "annotations.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")


def as_stored(scene: Scene) -> Scene:
    """Return a scene with the pixels that its file gives."""
    image = np.asarray(Image.open(io.BytesIO(_encode(scene))))
    return Scene(image=image, boxes=scene.boxes, classes=scene.classes)


def _encode(scene: Scene) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(scene.image).save(stream, "JPEG", quality=_QUALITY, subsampling=0)
    return stream.getvalue()


def _list_annotations(scenes: Sequence[Scene]) -> list[dict[str, object]]:
    found = [
        (position, box, index)
        for position, scene in enumerate(scenes)
        for box, index in zip(scene.boxes.tolist(), scene.classes.tolist(), strict=True)
    ]
    return [
        {
            "id": number,
            "image_id": position,
            "category_id": index,
            "bbox": [left, top, right - left, bottom - top],
            "area": (right - left) * (bottom - top),
            "iscrowd": 0,
        }
        for number, (position, (left, top, right, bottom), index) in enumerate(found, 1)
    ]
