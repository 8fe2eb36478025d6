"""Boxes in an image: those given as true, and those detected."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Boxes(NamedTuple):
    """Boxes [M, 4] of one image as left, top, right, bottom; classes [M]; scores [M], 1 if given.

    Corners are pixels of the image as the model takes it, or of the file.
    """

    corners: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    def of(self, index: int) -> "Boxes":
        """Return the boxes of one class."""
        return self.choose(self.classes == index)

    def choose(self, chosen: npt.NDArray[np.generic]) -> "Boxes":
        """Return the boxes at the given places."""
        return Boxes(self.corners[chosen], self.classes[chosen], self.scores[chosen])

    def without(self, index: int) -> "Boxes":
        """Return the boxes of all other classes."""
        return self.choose(self.classes != index)


def make_boxes(corners: object, classes: object, scores: object = None) -> Boxes:
    """Make boxes from lists [M, 4], [M] and [M]; without scores, from true boxes of score 1."""
    kept = np.asarray(corners, np.float32).reshape(-1, 4)
    given = np.ones(len(kept)) if scores is None else scores
    return Boxes(kept, np.asarray(classes, np.int64), np.asarray(given, np.float32))
