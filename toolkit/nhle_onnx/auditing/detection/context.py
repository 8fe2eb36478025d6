"""The input of every attack on a detector: models, scenes, and what lies at their locations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from nhle_onnx.auditing.context import Array, CannotRunError, split_halves
from nhle_onnx.data.boxes.scenes import SceneSource
from nhle_onnx.detection.reading import Answers
from nhle_onnx.values.boxes import Boxes
from nhle_onnx.values.detection import Precision
from nhle_onnx.values.detector import Detector
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.values.request import ForgetRequest

if TYPE_CHECKING:  # torch takes seconds to import
    from nhle_onnx.lowering.module import LoweredModel

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
NO_CLASS = -1  # of an image or a location that shows no forgotten class
_WHOLE_NUMBERS = "the class channels are computed in whole numbers"
_NO_IMAGES = (
    "too few images with boxes show the class: give at least two, one for the attacker and one to "
    "judge by"
)


class Locations(NamedTuple):
    """Some locations of a layer in all images, the same ones for every model.

    Each [M] has the image it is in, its `place` on the layer's map, the forgotten class that it
    shows or `NO_CLASS`, and how many locations of its image it stands for.
    """

    images: Indices
    places: Indices
    classes: Indices
    weights: npt.NDArray[np.float64]

    @property
    def shows(self) -> Flags:
        """Which of them show a forgotten class, [M]."""
        found: Flags = self.classes != NO_CLASS
        return found

    def choose(self, chosen: Flags) -> "Locations":
        """Return some of the locations."""
        images, places, classes, weights = self
        return Locations(images[chosen], places[chosen], classes[chosen], weights[chosen])


class Evidence(NamedTuple):
    """What a layer's class channels read at its locations [M, D], and the rival of the forgotten
    classes there: the log of what all others have in a softmax, or 0 where none competes.
    """

    features: Array
    rivals: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorTarget:
    """A detector, with what it has at the locations of each layer; nothing where its class channels
    are computed in whole numbers.
    """

    model: OnnxModel
    detector: Detector
    image_input: ImageInput
    evidence: tuple[Evidence, ...]

    @property
    def extents(self) -> tuple[int, int]:
        """Height and width of its input."""
        return self.image_input.height, self.image_input.width


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorContext:
    """Scenes with boxes, and the detectors that are attacked.

    `shown` [N] is a forgotten class that each scene shows, or `NO_CLASS`; `is_attack` [N] marks the
    half that the attacker holds. `look` gives what the original says of some scenes. `measure` runs
    a changed form of a detector on them, and `rate` gives the AP of the forgotten classes for what
    it says; `lower` makes such a form trainable, and compares it on images.
    """

    request: ForgetRequest
    scenes: SceneSource
    shown: Indices
    is_attack: Flags
    targets: Mapping[Role, DetectorTarget]
    locations: tuple[Locations, ...]
    look: Callable[[Sequence[int]], Answers]
    measure: Callable[[Role, ModelProto, Sequence[int]], Precision]
    rate: Callable[[Answers, Sequence[int]], float | None]
    lower: "Callable[[Role, ModelProto, Array], LoweredModel]"
    seed: int

    @property
    def truth(self) -> list[Boxes]:
        """The boxes of each scene."""
        return [boxes for boxes in self.scenes.boxes if boxes is not None]

    @property
    def judged(self) -> list[int]:
        """The scenes for measuring, those without the class among them."""
        return np.flatnonzero(~self.is_attack).tolist()

    def redraw(self, seed: int) -> Self:
        """Share the scenes out anew between attacker and judge."""
        return replace(self, is_attack=split_halves(self.shown, seed), seed=seed)

    def require_shown(self) -> None:
        """Raise CannotRunError where attacker or judge has no scene with a forgotten class."""
        shows = self.shown != NO_CLASS
        if not ((shows & self.is_attack).any() and (shows & ~self.is_attack).any()):
            raise CannotRunError(_NO_IMAGES, leaves_gap=True)

    def require_evidence(self) -> None:
        """Do as `require_shown`, and raise CannotRunError where features cannot be read."""
        self.require_shown()
        if not all(target.evidence for target in self.targets.values()):
            raise CannotRunError(_WHOLE_NUMBERS, leaves_gap=True)
