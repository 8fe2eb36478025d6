"""Boxes in one text file for each image, as YOLO's tools write them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nhle_onnx.data.boxes.written import Corners, Written, refuse
from nhle_onnx.graph.regular_files import read_text

_BOX = 5  # a class and four numbers; a confidence may follow
_WITH_SCORE = 6


def read_yolo(_: Path, images: Sequence[Path], labels: Sequence[str]) -> Mapping[Path, Written]:
    """Read `NAME.txt` beside `NAME.jpg`, or in `labels` where the image is in `images`. An empty
    file says that the image shows no object.
    """
    files = {image: file for image in images if (file := _find(image)) is not None}
    return {image: _read(file, len(labels)) for image, file in files.items()}


def _find(image: Path) -> Path | None:
    parts = list(image.parts)
    places = [image.with_suffix(".txt")]
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        parts[last] = "labels"
        places.append(Path(*parts).with_suffix(".txt"))
    return next((place for place in places if place.is_file()), None)


def _read(file: Path, count: int) -> Written:
    found = Written(is_relative=True)
    try:
        for line in read_text(file).splitlines():
            if fields := line.split():
                index, *numbers = int(fields[0]), *map(float, fields[1:])
                if not 0 <= index < count:
                    raise refuse(file, f"has class {index}, but the model has {count} classes")
                found.add(_enclose(numbers), index)
    except (OSError, ValueError, IndexError) as error:
        raise refuse(file, f"is not what YOLO writes: {error}") from error
    return found


def _enclose(numbers: Sequence[float]) -> Corners:
    """Return the corners of a centre with sides, or of a polygon."""
    if len(numbers) in {_BOX - 1, _WITH_SCORE - 1}:
        x, y, width, height = numbers[:4]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    across, down = numbers[::2], numbers[1::2]
    if len(across) != len(down):
        raise ValueError(f"a line has {len(numbers)} numbers")
    return min(across), min(down), max(across), max(down)
