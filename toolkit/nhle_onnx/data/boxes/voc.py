"""Boxes in one XML file for each image, as Pascal VOC has them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from nhle_onnx.data.boxes.written import Written, find_label, refuse
from nhle_onnx.graph.regular_files import read_text

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(_: Path, images: Sequence[Path], labels: Sequence[str]) -> Mapping[Path, Written]:
    """Read `NAME.xml` beside `NAME.jpg`, or in `Annotations` beside the image's folder."""
    files = {image: file for image in images if (file := _find(image)) is not None}
    return {image: _read(file, labels) for image, file in files.items()}


def _find(image: Path) -> Path | None:
    name = image.with_suffix(".xml").name
    places = (image.with_suffix(".xml"), image.parent.parent / "Annotations" / name)
    return next((place for place in places if place.is_file()), None)


def _read(file: Path, labels: Sequence[str]) -> Written:
    found = Written()
    try:
        root = ET.fromstring(read_text(file))  # noqa: S314 - expat refuses what grows, and fetches nothing
        for item in root.iter("object"):
            box = item.find("bndbox")
            left, top, right, bottom = (
                float(text) for side in _SIDES if (text := _get(box, side)) is not None
            )
            # VOC counts pixels from 1, and both ends belong to the box
            found.add(
                (left - 1, top - 1, right, bottom),
                find_label(file, _get(item, "name") or "", labels),
            )
    except (OSError, ValueError, ET.ParseError) as error:
        raise refuse(file, f"is not what Pascal VOC writes: {error}") from error
    return found


def _get(item: ET.Element | None, name: str) -> str | None:
    return None if item is None else item.findtext(name)
