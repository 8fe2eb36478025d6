"""The zoo's data: read, shrunk, merged and composed from MNIST and Fashion-MNIST, or rendered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from studies.datasets import Dataset, Split, load_dataset
from studies.strangers.glyphs import (
    Look,
    Rng,
    contrast_with,
    find_faces,
    list_texts,
    make_texture,
    render,
)

TEST_SEED = 1_000_000  # of rendered test images: no training image is drawn with it
_BINARY = {"mnist": (1, 3, 5, 7, 9), "fashion_mnist": (5, 7, 9)}  # odd digits; footwear
_ITEMS = 10  # classes of Fashion-MNIST


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A data set of `train` and `test` images, [extent, extent, channels] each.

    `rarest` is the frequency of the last class relative to the first; those between fall off
    exponentially.
    """

    origin: str
    classes: int = 10
    extent: int = 28
    channels: int = 1
    train: int = 12_000
    test: int = 3_000
    rarest: float = 1.0


def make_dataset(name: str, data: Data, root: Path) -> Dataset:
    """Make both splits; `root` holds the folders of MNIST and Fashion-MNIST."""
    train, test = ORIGINS[data.origin](data, root)
    return Dataset(name, data.classes, thin_out(train, data.rarest, data.classes), test)


def thin_out(split: Split, rarest: float, classes: int) -> Split:
    """Leave out images, so that each class is rarer than the one before it."""
    counts = np.bincount(split.labels, minlength=classes)
    kept = (counts * rarest ** (np.arange(classes) / (classes - 1))).round()
    rank = np.zeros(len(split.labels), np.int64)
    for index in range(classes):
        rank[split.labels == index] = np.arange(counts[index])
    chosen = rank < kept[split.labels]
    return Split(split.images[chosen], split.labels[chosen])


def read_grey(origin: str, data: Data, root: Path) -> tuple[Split, Split]:
    """Read MNIST or Fashion-MNIST at an extent; two classes are merged from its ten."""
    dataset = load_dataset(origin, root)
    train, test = (
        _convert(_take(split, count), origin, data)
        for split, count in ((dataset.train, data.train), (dataset.test, data.test))
    )
    return train, test


def render_glyphs(data: Data, _root: Path) -> tuple[Split, Split]:
    """Render characters: grey ones on black, or coloured ones on textures."""
    faces = find_faces()
    texts = list_texts(data.classes, faces)
    look = Look(data.extent, textured=data.channels > 1)
    return (
        render(texts, faces, look, data.train, seed=data.classes),
        render(texts, faces, look, data.test, seed=TEST_SEED + data.classes),
    )


def compose(data: Data, root: Path) -> tuple[Split, Split]:
    """Compose Fashion-MNIST items in colour on a texture. The large one is the class; of 100
    classes, the large and the small one together.
    """
    dataset = load_dataset("fashion_mnist", root)
    return (
        _compose_split(dataset.train, data, data.train, seed=0),
        _compose_split(dataset.test, data, data.test, seed=TEST_SEED),
    )


def compose_one(items: npt.NDArray[np.uint8], extent: int, rng: Rng) -> npt.NDArray[np.uint8]:
    """Draw the first item large, and the others small and behind it."""
    picture = make_texture(extent, rng)
    for item in items[:0:-1]:
        small = rng.uniform(0.4, 0.55)
        _paste(picture, item, small, (rng.uniform(0.75, 1.0), rng.uniform(0, 1)), rng)
    _paste(picture, items[0], rng.uniform(0.65, 0.8), tuple(rng.uniform(0, 0.6, 2)), rng)
    return np.asarray(picture)


def _paste(
    picture: Image.Image,
    item: npt.NDArray[np.uint8],
    share: float,
    place: tuple[float, ...],
    rng: Rng,
) -> None:
    size = round(share * picture.width)
    mask = Image.fromarray(item).resize((size, size))
    left, top = (round((picture.width - size) * part) for part in place)
    picture.paste(contrast_with(picture, rng), (left, top), mask)


def _compose_split(split: Split, data: Data, count: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    pairs = data.classes == _ITEMS**2
    allowed = np.flatnonzero(split.labels < (_ITEMS if pairs else data.classes))
    images, labels = [], []
    for _ in range(count):
        chosen = rng.choice(allowed, 2 if pairs else int(rng.integers(2, 5)))
        large, small = split.labels[chosen[:2]]
        labels.append(large * _ITEMS + small if pairs else large)
        images.append(compose_one(split.images[chosen, :, :, 0], data.extent, rng))
    return Split(np.stack(images), np.array(labels, np.int64))


def _take(split: Split, count: int) -> Split:
    """Take the first `count`, in file order, which is random in both data sets."""
    return Split(split.images[:count], split.labels[:count])


def _convert(split: Split, origin: str, data: Data) -> Split:
    images, labels = split.images[..., 0], split.labels
    if data.classes == 2:  # noqa: PLR2004 - merged
        labels = np.isin(labels, _BINARY[origin]).astype(np.int64)
    size = (data.extent, data.extent)
    resized = np.stack([np.asarray(Image.fromarray(image).resize(size)) for image in images])
    return Split(np.repeat(resized[..., None], data.channels, axis=3), labels)


ORIGINS: Mapping[str, Callable[[Data, Path], tuple[Split, Split]]] = {
    "mnist": partial(read_grey, "mnist"),
    "fashion_mnist": partial(read_grey, "fashion_mnist"),
    "glyphs": render_glyphs,
    "clutter": compose,
}

DATA: Mapping[str, Data] = {
    "mnist": Data(origin="mnist", train=60_000, test=10_000),
    "mnist-few": Data(origin="mnist", train=400, test=10_000),
    "mnist-imbalanced": Data(origin="mnist", train=30_000, test=10_000, rarest=0.03),
    "mnist-8": Data(origin="mnist", extent=8, train=30_000, test=10_000),
    "mnist-2": Data(origin="mnist", classes=2, train=30_000, test=10_000),
    "fashion": Data(origin="fashion_mnist", train=60_000, test=10_000),
    "fashion-few": Data(origin="fashion_mnist", train=1_000, test=10_000),
    "fashion-imbalanced": Data(origin="fashion_mnist", train=30_000, test=10_000, rarest=0.03),
    "fashion-2": Data(origin="fashion_mnist", classes=2, train=30_000, test=10_000),
    "fashion-32": Data(origin="fashion_mnist", extent=32, channels=3, train=30_000, test=5_000),
    "letters-26": Data(origin="glyphs", classes=26),
    "characters-47": Data(origin="glyphs", classes=47, train=18_000, test=4_700),
    "signs-1000": Data(origin="glyphs", classes=1000, extent=32, train=40_000, test=5_000),
    "street-10": Data(origin="glyphs", extent=32, channels=3),
    "street-36": Data(origin="glyphs", classes=36, extent=32, channels=3, train=18_000, test=3_600),
    "street-100": Data(
        origin="glyphs", classes=100, extent=32, channels=3, train=24_000, test=4_000
    ),
    "street-1000": Data(
        origin="glyphs", classes=1000, extent=32, channels=3, train=40_000, test=5_000
    ),
    "street-10-64": Data(origin="glyphs", extent=64, channels=3, train=6_000, test=1_500),
    "clutter-9": Data(origin="clutter", classes=9, extent=48, channels=3),
    "clutter-10": Data(origin="clutter", extent=32, channels=3),
    "clutter-10-64": Data(origin="clutter", extent=64, channels=3, train=6_000, test=1_500),
    "clutter-100": Data(
        origin="clutter", classes=100, extent=32, channels=3, train=30_000, test=5_000
    ),
    "clutter-10-224": Data(origin="clutter", extent=224, channels=3, train=1_500, test=300),
    "street-26-224": Data(
        origin="glyphs", classes=26, extent=224, channels=3, train=1_560, test=312
    ),
}
