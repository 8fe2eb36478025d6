"""What is measured: a function for each condition lists its cases."""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np

from studies.strangers.pictures import DATA
from studies.strangers.run import ANCHORS, Draw, list_cells
from studies.strangers.table import STRANGERS

SHIPPED = ("lenet5", "mobilenetv3-small")
SAMPLES = (1, 4, 8, 16, 64)
FEW_EACH = 4  # samples of each of twenty classes
SEVERAL_EACH = 8  # as many as in the paper
CLASSES = 10  # of the networks whose anchors vary
MANY = 100
AT_ONCE = 20
FOUR = 4  # classes with anchors
DIVIDED = "divided"  # with eleven classes: half of the trousers are a class of their own
TWINS = {0: "T-shirt/top", 2: "pullover", 4: "coat", 6: "shirt"}


class Case(NamedTuple):
    """A setting on a network; `others` names another data set that anchors are from, if any."""

    setting: str
    network: str
    draw: Draw
    others: str = ""


def vary_samples(seed: int) -> Iterator[Case]:
    """Vary the number of forget samples from one to 64."""
    networks = (SHIPPED[0], "tutorial", "depthwise-hard-swish", SHIPPED[1])
    for network, samples, index in product(networks, SAMPLES, (0, 4)):
        yield Case(f"{samples} sample{'s' * (samples > 1)}", network, Draw((index,), seed, samples))


def take_many_classes(seed: int) -> Iterator[Case]:
    """Take networks of a hundred classes or more, with few anchors of each class, or none."""
    for stranger in STRANGERS:
        classes = DATA[stranger.data].classes
        if stranger.half == "development" and classes >= MANY:
            for cell in list_cells(classes)[:3]:
                setting = f"{classes} classes, {stranger.name}"
                yield Case(setting, stranger.name, Draw((cell.forgotten,), seed))


def vary_anchors(seed: int) -> Iterator[Case]:
    """Take few anchors, those of only some classes, and pictures of another kind."""
    networks = {
        SHIPPED[0]: ("mnist", "clutter-10"),
        "plain-decay": ("mnist", "clutter-10"),
        "tutorial": ("fashion", "clutter-10"),
        "depthwise-hard-swish": ("street-36", "clutter-9"),
    }
    for (network, others), index in product(networks.items(), (0, 4)):
        draw = Draw((index,), seed)
        retained = [each for each in range(CLASSES) if each != index]
        for anchors in (ANCHORS, 32, 8):
            yield Case(f"{anchors} anchors", network, draw._replace(anchors=anchors))
        yield Case("of half of the classes", network, draw._replace(shown=tuple(retained[::2])))
        yield Case("of four classes", network, draw._replace(shown=tuple(retained[:FOUR])))
        for name in others:
            yield Case("pictures of another kind", network, draw, name)


def forget_several(seed: int) -> Iterator[Case]:
    """Forget several classes at once."""
    for network, forgotten in product((SHIPPED[0], "tutorial"), ((0, 4), (0, 2, 4, 6, 8))):
        setting = f"{len(forgotten)} of {CLASSES}, {SEVERAL_EACH} samples each"
        yield Case(setting, network, Draw(forgotten, seed, SEVERAL_EACH))
    chosen = np.random.default_rng(seed).permutation(MANY)[:AT_ONCE]
    classes = tuple(sorted(map(int, chosen)))
    for network, samples in product(("numbers", "pairs-plain"), (SEVERAL_EACH, FEW_EACH)):
        setting = f"{AT_ONCE} of {MANY}, {samples} samples each"
        yield Case(setting, network, Draw(classes, seed, samples))


def forget_twins(seed: int) -> Iterator[Case]:
    """Forget classes that are nearly the same as others."""
    networks = (SHIPPED[0], "plain-decay", "mlp-tanh")
    for network, (index, name) in product(networks, TWINS.items()):
        yield Case(name, network, Draw((index,), seed))
    yield Case("half of the trousers", DIVIDED, Draw((CLASSES,), seed))


def forget_rare(seed: int) -> Iterator[Case]:
    """Forget rare classes and the most frequent one, of networks trained on uneven data."""
    for network, index in product(("imbalanced", "residual-silu"), (9, 8, 0)):
        yield Case(f"class {index}", network, Draw((index,), seed))


CONDITIONS: Mapping[str, Callable[[int], Iterator[Case]]] = {
    "samples": vary_samples,
    "many classes": take_many_classes,
    "anchors": vary_anchors,
    "several at once": forget_several,
    "twins": forget_twins,
    "rare classes": forget_rare,
}


def list_cases(condition: str, seeds: int) -> list[Case]:
    """List the cases of a condition, draw by draw."""
    return [case for seed in range(seeds) for case in CONDITIONS[condition](seed)]


NETWORKS = [*dict.fromkeys(case.network for name in CONDITIONS for case in list_cases(name, 1))]
