"""A network that learned two names for one class: every other image of it has the second."""

from pathlib import Path

import numpy as np

from recipes.fashion_mnist import EXTENT, LABELS
from studies.datasets import Split
from studies.strangers.blocks import Network, Shape
from studies.strangers.build import convert, export, open_pictures
from studies.strangers.recipes import Recipe, Samples, train_network
from studies.strangers.run import Pool, Subject

DATA = "fashion"
DIVIDED = 1  # trousers, which are hardly taken for anything else
SECOND = len(LABELS)  # the name of the other half
_NETWORK = Network(family="plain", widths=(16, 32), hidden=128)
_SHAPE = Shape(SECOND + 1, 1, EXTENT)


def divide(split: Split) -> Split:
    """Label the images of the divided class with the first and the second name in turn."""
    labels = split.labels.copy()
    labels[np.flatnonzero(labels == DIVIDED)[1::2]] = SECOND
    return Split(split.images, labels)


def open_divided(cache: Path, folder: Path, first: int) -> Subject:
    """Open the network, or train it if the cache lacks it. Samples are drawn from the first `first`
    images of each class; the test set is written to `folder`.
    """
    pictures = open_pictures(DATA, Path(), cache)
    train, test = (convert(divide(split), _SHAPE) for split in (pictures.train, pictures.test))
    model, judged = cache / "networks" / "divided" / "model.onnx", folder / "divided.npz"
    if not model.is_file():
        model.parent.mkdir(parents=True, exist_ok=True)
        export(train_network(_NETWORK, Recipe(), _SHAPE, train), test.inputs[:2], "folded", model)
    np.savez(judged, x=test.inputs.numpy(), y=test.labels.numpy())
    return Subject(model, take_pool(train, first), judged)


def take_pool(train: Samples, first: int) -> Pool:
    """Take the first images of each class."""
    labels = train.labels.numpy()
    chosen = [np.flatnonzero(labels == each)[:first] for each in range(_SHAPE.classes)]
    places = np.concatenate(chosen)
    return Pool(train.inputs.numpy()[places], labels[places])
