"""One case: unlearn with the defaults, and measure classes with and without anchors apart."""

import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.values.report import UnlearnReport
from studies.conditions.divided import open_divided
from studies.conditions.table import DIVIDED, SHIPPED, Case
from studies.datasets import Split
from studies.results import ROOT
from studies.strangers.build import (
    POOL,
    convert,
    get_shape,
    measure_statistics,
    open_pictures,
)
from studies.strangers.run import (
    Pool,
    Subject,
    draw_samples,
    open_subject,
    refuse,
    summarise,
    unlearn,
)
from studies.strangers.table import STRANGERS
from studies.tables import Row

SHIPPED_DATA = "fashion"
APART = ("ΔAcc_R with anchors", "ΔAcc_R without", "classes without")


class Places(NamedTuple):
    """The zoo, and a folder for this run's own files."""

    cache: Path
    folder: Path


def name_case(condition: str, case: Case) -> Row:
    """Return the columns that name a row."""
    return {
        "condition": condition,
        "setting": case.setting,
        "network": case.network,
        "others": case.others,
        "forget": ",".join(map(str, case.draw.forgotten)),
        "seed": case.draw.seed,
    }


def measure_case(case: Case, places: Places) -> Row:
    """Measure the figures of a row."""
    subject = open_network(case.network, places)
    if case.others:
        subject = subject._replace(others=open_others(case, places))
    start = time.process_time()
    try:
        report = unlearn(subject, case.draw)
    except NhleOnnxError as error:
        reason = str(error).replace(str(subject.model), "the model")
        return {**refuse(error), **dict.fromkeys(APART), "stop": reason}
    figures = summarise(report) | {"CPU s": time.process_time() - start}
    return figures | compare_classes(case, subject, report)


def compare_classes(case: Case, subject: Subject, report: UnlearnReport) -> Row:
    """Return what classes with and without anchors lost, each weighted by its test images."""
    samples = draw_samples(subject.pool, case.draw)
    count = len(report.labels)
    with np.load(subject.test) as held:
        weights = np.bincount(held["y"], minlength=count)
    is_retained = ~np.isin(np.arange(count), case.draw.forgotten)
    shows = np.zeros(count, bool)
    if not case.others:
        shows[samples.labels] = True
    lost = _read(report.after.per_class) - _read(report.before.per_class)
    parts = [is_retained & shows & (weights > 0), is_retained & ~shows & (weights > 0)]
    means = [
        float(np.average(lost[part], weights=weights[part])) if part.any() else None
        for part in parts
    ]
    return dict(zip(APART, (*means, int((is_retained & ~shows).sum())), strict=True))


def _read(shares: Sequence[float | None]) -> npt.NDArray[np.float64]:
    return np.array([np.nan if share is None else share for share in shares])


@lru_cache(maxsize=2)
def open_network(name: str, places: Places) -> Subject:
    """Open a network of the zoo, or a shipped model, which reads images as bytes."""
    if name == DIVIDED:
        return open_divided(*places, POOL)
    if name not in SHIPPED:
        return open_subject(next(each for each in STRANGERS if each.name == name), places.cache)
    pictures = open_pictures(SHIPPED_DATA, Path(), places.cache)
    test = places.folder / "test.npz"
    if not test.is_file():
        np.savez(test, x=pictures.test.images[..., 0], y=pictures.test.labels)
    model = ROOT / "models" / f"{name.replace('-', '_')}_fashion_mnist" / "model.onnx"
    chosen = take_first(pictures.train)
    return Subject(model, Pool(chosen.images[..., 0], chosen.labels), test)


def open_others(case: Case, places: Places) -> Pool:
    """Prepare pictures of another data set as the network's own are prepared."""
    others = open_pictures(case.others, Path(), places.cache)
    chosen = take_first(others.train)
    if case.network in SHIPPED:
        grey = convert(chosen._replace(images=_to_grey(chosen)), get_shape(SHIPPED_DATA), (0, 1))
        images = (grey.inputs.numpy() * 255).round().astype(np.uint8)[:, 0]
        return Pool(images, chosen.labels)
    data = next(each.data for each in STRANGERS if each.name == case.network)
    shape = get_shape(data)
    own = open_pictures(data, Path(), places.cache)
    images = _to_grey(chosen) if shape.channels == 1 else chosen.images
    inputs, _ = convert(chosen._replace(images=images), shape, measure_statistics(own))
    return Pool(inputs.numpy(), chosen.labels)


def take_first(split: Split) -> Split:
    """Take the first images of each class, as in the zoo's pools."""
    classes = range(int(split.labels.max()) + 1)
    chosen = np.concatenate([np.flatnonzero(split.labels == each)[:POOL] for each in classes])
    return Split(split.images[chosen], split.labels[chosen])


def _to_grey(split: Split) -> npt.NDArray[np.uint8]:
    grey: npt.NDArray[np.uint8] = split.images.mean(3, keepdims=True).round().astype(np.uint8)
    return grey
