"""What models answer, image by image."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["original", "edited", "reference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownImage:
    """An image of class `true`, and the class that each model answers.

    `index` is its place among the samples; `picture` is a `data:` address of a small copy, or
    empty.
    """

    index: int
    true: int
    answers: dict[Role, int]
    picture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Answers to `images` of `available` images.

    `confusion` counts the images of each pair that occurs: class, answer, number. `forgotten` are
    images of forgotten classes, those that are still recognised first. `mistakes` are images of
    other classes that only the edited model gets wrong, the surest mistakes first.
    """

    images: int
    available: int
    confusion: dict[Role, tuple[tuple[int, int, int], ...]]
    forgotten: tuple[ShownImage, ...]
    mistakes: tuple[ShownImage, ...]
