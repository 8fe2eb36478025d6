"""Characters in this machine's typefaces: plain, or in colour on textures, like house numbers.

The typefaces and a seed determine every image.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

from studies.datasets import Split

FONTS = Path("/usr/share/fonts")
DIGITS = "0123456789"
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Letters whose lower case looks unlike their capital: with the above, EMNIST's 47 "balanced".
DISTINCT_LOWER = "abdefghnqrt"
_DRAWN = 40  # pixels that a glyph is drawn at, before it is scaled
_ENOUGH_FACES = 8
_LETTERS = [chr(code) for code in range(0x21, 0x2300) if chr(code).isalpha()]

Rng = np.random.Generator


class Look(NamedTuple):
    """How images are drawn: bright on black, or with `textured` in colour among neighbours."""

    extent: int
    textured: bool


def find_faces(root: Path = FONTS) -> tuple[Path, ...]:
    """Find the scalable typefaces in a folder, in the same order on every machine."""
    paths = [path for path in root.rglob("*") if path.suffix in {".ttf", ".otf"}]
    return tuple(sorted(paths, key=lambda path: path.name))


def list_texts(count: int, faces: Sequence[Path]) -> list[str]:
    """List what each class shows."""
    if count == 1000:  # noqa: PLR2004 - letters of all alphabets that enough typefaces hold
        return [text for text in _LETTERS if len(find_able(text, faces)) >= _ENOUGH_FACES][:count]
    if count == 100:  # noqa: PLR2004 - numbers of two digits
        return [f"{number:02}" for number in range(count)]
    alphabet = {10: DIGITS, 26: CAPITALS, 36: DIGITS + CAPITALS}
    return list(alphabet.get(count, DIGITS + CAPITALS + DISTINCT_LOWER))


def find_able(text: str, faces: Sequence[Path]) -> list[Path]:
    """Find the faces that have every character of a text."""
    points = set(map(ord, text))
    return [face for face in faces if points <= _list_characters(face)]


def render(texts: Sequence[str], faces: Sequence[Path], look: Look, count: int, seed: int) -> Split:
    """Render `count` images [N, E, E, 1 or 3], classes in turn, each in a random face."""
    rng = np.random.default_rng(seed)
    able = {text: find_able(text, faces) for text in texts}
    labels = np.arange(count) % len(texts)
    images = [render_one(texts, able, int(label), look, rng) for label in labels]
    return Split(np.stack(images), labels.astype(np.int64))


def render_one(
    texts: Sequence[str], able: dict[str, list[Path]], label: int, look: Look, rng: Rng
) -> npt.NDArray[np.uint8]:
    """Render one image of a class."""
    text = texts[label]
    face = able[text][rng.integers(len(able[text]))]
    shape = _place(text, face, look.extent, 0, rng)
    if not look.textured:
        return np.asarray(shape)[..., None]
    picture = make_texture(look.extent, rng)
    colour = contrast_with(picture, rng)
    for side in (-1, 1):
        neighbour = texts[int(rng.integers(len(texts)))]
        if face in able[neighbour]:
            picture.paste(colour, mask=_place(neighbour, face, look.extent, side, rng))
    picture.paste(colour, mask=shape)
    return np.asarray(picture)


def make_texture(extent: int, rng: Rng) -> Image.Image:
    """Make smooth patches of colour under grain."""
    cells = int(rng.integers(1, 7))
    coarse = rng.integers(0, 256, 3) + rng.normal(0, 35, (cells, cells, 3))
    patches = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize((extent, extent))
    grain = rng.normal(0, rng.uniform(2, 14), (extent, extent, 1))
    return Image.fromarray((np.asarray(patches) + grain).clip(0, 255).astype(np.uint8))


def contrast_with(picture: Image.Image, rng: Rng) -> tuple[int, int, int]:
    """Choose a colour that stands out from a picture."""
    ground = np.asarray(picture).mean((0, 1))
    colours = rng.integers(0, 256, (8, 3))
    red, green, blue = colours[np.abs(colours - ground).sum(1).argmax()]
    return int(red), int(green), int(blue)


def _place(text: str, face: Path, extent: int, side: int, rng: Rng) -> Image.Image:
    """Draw a text as a mask, turned a little; a neighbour on a `side` is mostly cut off."""
    glyph = _draw(text, face)
    height = rng.uniform(0.55, 0.85) * extent
    width = min(height * glyph.width / glyph.height, 0.9 * extent)
    size = (max(2, round(width)), max(2, round(height)))
    turned = glyph.resize(size).rotate(rng.normal(0, 6), expand=True)
    mask = Image.new("L", (extent, extent))
    left, top = ((extent - length) / 2 for length in turned.size)
    shift = rng.normal(0, extent / 24, 2) + np.array([side * 0.72 * extent, 0])
    mask.paste(turned, (round(left + shift[0]), round(top + shift[1])))
    return mask


@cache
def _draw(text: str, face: Path) -> Image.Image:
    font = _open(face)
    left, top, right, bottom = font.getbbox(text)
    glyph = Image.new("L", (max(1, int(right - left)), max(1, int(bottom - top))))
    ImageDraw.Draw(glyph).text((-left, -top), text, fill=255, font=font)
    return glyph


@cache
def _list_characters(face: Path) -> frozenset[int]:
    """List the code points that a face has glyphs for."""
    with TTFont(face, lazy=True) as font:
        return frozenset(font.getBestCmap() or ())


@cache
def _open(face: Path) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(face, _DRAWN)
