"""Boxes in one JSON file, as COCO writes them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nhle_onnx.data.boxes.written import Written, find_label, refuse
from nhle_onnx.graph.regular_files import read_text

_KEYS = {"images", "annotations", "categories"}


def read_coco(root: Path, images: Sequence[Path], labels: Sequence[str]) -> Mapping[Path, Written]:
    """Read the boxes of images that a JSON file in the folder, in its `annotations`, or beside it,
    lists. Crowds are left out.
    """
    places = (root, root / "annotations", root.parent / "annotations")
    files = [file for place in places if place.is_dir() for file in sorted(place.glob("*.json"))]
    by_name = {image.name: image for image in images}
    found: dict[Path, Written] = {}
    for file in files:
        document = _load(file)
        if document is not None:
            found |= _read(file, document, by_name, labels)
    return found


def _load(file: Path) -> dict[str, Any] | None:
    """Return a document that is COCO's; None for any other JSON."""
    try:
        document = json.loads(read_text(file))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and document.keys() >= _KEYS else None


def _read(
    file: Path, document: dict[str, Any], by_name: Mapping[str, Path], labels: Sequence[str]
) -> dict[Path, Written]:
    try:
        names = {entry["id"]: Path(entry["file_name"]).name for entry in document["images"]}
        classes = {
            entry["id"]: find_label(file, str(entry["name"]), labels)
            for entry in document["categories"]
        }
        found = {by_name[name]: Written() for name in names.values() if name in by_name}
        for entry in document["annotations"]:
            image = by_name.get(names[entry["image_id"]])
            if image is not None and not entry.get("iscrowd"):
                left, top, width, height = map(float, entry["bbox"])
                corners = (left, top, left + width, top + height)
                found[image].add(corners, classes[entry["category_id"]])
    except (KeyError, TypeError, ValueError) as error:
        raise refuse(file, f"is not what COCO writes: {error!r}") from error
    return found
