"""Colours of a page are seen by everybody: contrast as WCAG 2.2 asks for it, and distances for
readers who are colour-blind (Machado et al. 2009, all of a cone missing; distances in OKLab).
"""

import re
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nhle_onnx.release.page import render
from nhle_onnx.release.page.charts import style

Colour = npt.NDArray[np.float64]

SEEN: Mapping[str, list[list[float]]] = {
    "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def read_colour(text: str) -> Colour:
    """Linear light of #rgb or #rrggbb."""
    digits = text.lstrip("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    values = np.array([int(digits[place : place + 2], 16) for place in (0, 2, 4)]) / 255
    linear: Colour = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear


def measure_contrast(first: str, second: str) -> float:
    light, dark = sorted(float(LUMINANCE @ read_colour(each)) for each in (first, second))[::-1]
    return (light + 0.05) / (dark + 0.05)


def measure_distance(first: str, second: str, seen: str) -> float:
    places = [
        TO_OKLAB @ np.cbrt(TO_CONES @ np.clip(SEEN[seen] @ read_colour(each), 0, 1))
        for each in (first, second)
    ]
    return float(np.linalg.norm(places[0] - places[1]))


def read_schemes() -> dict[str, dict[str, str]]:
    """The page's colours by name, in each scheme."""
    style = Path(render.__file__).with_name("page.html.j2").read_text("utf-8")
    found = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    return {
        name: dict(re.findall(r"--([\w-]+): (#\w+)", text))
        for name, text in zip(("light", "dark", "print"), found, strict=True)
    }


SCHEMES = read_schemes()
MODELS = tuple(style.COLOURS.values())


def test_contrast_and_distance_are_those_of_the_standards() -> None:
    assert measure_contrast("#000", "#fff") == pytest.approx(21)
    assert measure_contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    assert measure_distance("#fff", "#000", "all cones") == pytest.approx(1, abs=1e-3)
    assert measure_distance("#d00000", "#5c7000", "deuteranopia") < 0.1
    assert measure_distance("#d00000", "#5c7000", "all cones") > 0.2


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["ink", "quiet", "passed", "failed", "open", "link"])
def test_text_can_be_read(name: str, scheme: str) -> None:
    colours = SCHEMES["light"] | SCHEMES[scheme]  # print leaves links as they are
    for ground in ("paper", "mark"):
        assert measure_contrast(colours[name], colours[ground]) >= 4.5, ground


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("colour", sorted({*MODELS, *style.HIGHLIGHTS}))
def test_drawings_can_be_seen(colour: str, scheme: str) -> None:
    assert measure_contrast(colour, SCHEMES[scheme]["paper"]) >= 3


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("colours", [MODELS, style.HIGHLIGHTS], ids=["models", "classes"])
def test_colours_of_one_drawing_are_told_apart(colours: tuple[str, ...], seen: str) -> None:
    for pair in combinations(colours, 2):
        assert measure_distance(*pair, seen) >= 0.1, pair
