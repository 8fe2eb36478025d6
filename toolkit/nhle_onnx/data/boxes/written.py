"""Boxes as a file has them, in pixels of the image file or in fractions of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from nhle_onnx.data.labels import explain_class, find_class
from nhle_onnx.errors import InputRefusedError

Corners = tuple[float, float, float, float]


@dataclass(slots=True, kw_only=True)
class Written:
    """The boxes of one image, as left, top, right, bottom, and their classes."""

    corners: list[Corners] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    is_relative: bool = False

    def add(self, corners: Corners, index: int) -> None:
        """Append one box. Raises ValueError where a side is not finite."""
        if not all(map(isfinite, corners)):
            raise ValueError(f"a box reaches from {corners[:2]} to {corners[2:]}")
        self.corners.append(corners)
        self.classes.append(index)


def find_label(file: Path, name: str, labels: Sequence[str]) -> int:
    """Return the class that a file names. Raises InputRefusedError unless the model has exactly one
    such class.
    """
    index = find_class(name, labels)
    if index is None:
        reason, _ = explain_class(name, labels)
        raise refuse(file, f"names a class that the model does not have: {reason}")
    return index


def refuse(file: Path, why: str) -> InputRefusedError:
    """Make the error for a file of boxes."""
    remedy = "Boxes are read as COCO JSON, YOLO text, or Pascal VOC XML."
    return InputRefusedError(f"{file} {why}", remedy=remedy)
