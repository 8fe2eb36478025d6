"""What each part of the default setting contributes: the default with one part changed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from operator import attrgetter
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest import mock

import click
from rich.progress import track
from torch import nn

from nhle_onnx.auditing.attacks.probe import probe_hits
from nhle_onnx.auditing.context import split_halves
from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.training import budget
from nhle_onnx.unlearning import objective, probing
from nhle_onnx.values.options import UnlearnOptions
from studies.baselines.projection import projection
from studies.datasets import load_dataset
from studies.evaluation import TestData, extract_features, measure_accuracies
from studies.options import cache_option, data_root_option, fresh_option
from studies.ours import run_tool
from studies.results import resume, write_results
from studies.subjects import Classifier, open_classifier
from studies.tables import Row, get_key, group_rows, make_sections, pick_rows
from studies.tasks import ANCHORS_PER_CLASS, FORGET_SAMPLES, Task, draw_task

NAME = "ablation"
KEY = ("network", "variant", "forget", "seed")
DATASET = "fashion_mnist"
NETWORKS = ("lenet5", "mobilenetv3-small")
CLASSES = (0, 3, 8)
PROBED = 4000  # test images, half of them to train the new head


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One change of the default.

    `constants` are (module, name, value) to replace; `first` changes the network before.
    """

    name: str
    options: UnlearnOptions = UnlearnOptions()
    constants: tuple[tuple[Any, str, Any], ...] = field(default=())
    has_anchors: bool = True
    first: Callable[[Task], nn.Module] = attrgetter("network")


def _vary(name: str, **options: Any) -> Variant:  # noqa: ANN401 - any option
    return Variant(name=name, options=UnlearnOptions(**options))


def _fix(
    name: str,
    module: Any,  # noqa: ANN401 - a module
    constant: str,
    value: float,
    *,
    has_anchors: bool = True,
) -> Variant:
    return Variant(name=name, constants=((module, constant, value),), has_anchors=has_anchors)


_NO_SEPARATION = (objective, "SEPARATION_WEIGHT", 0.0)
_NO_IMITATION = (objective, "IMITATION_WEIGHT", 0.0)

VARIANTS = (
    Variant(name="default"),
    _vary("CWM only", method="cwm"),
    _vary("NHLE only", method="nhle"),
    _vary("mask zero", mask="zero"),
    _vary("mask importance", mask="importance"),
    _vary("loss paper-gradient, same optimizer", loss="paper-gradient"),
    _vary("loss paper-cross-entropy, same optimizer", loss="paper-cross-entropy"),
    _fix("margin 0", objective, "MARGIN", 0.0),
    _fix("margin 2", objective, "MARGIN", 2.0),
    _fix("drift bound 0.005", budget, "DRIFT_BOUND", 0.005),
    _fix("drift bound 0.08", budget, "DRIFT_BOUND", 0.08),
    _fix("no adversarial augmentation", objective, "ADVERSARIAL_AUGMENTATION", 0.0),
    _fix("adversarial augmentation of all forget samples", objective, "_AUGMENTED_SHARE", 1.0),
    _fix("adversarial augmentation twice as far", objective, "ADVERSARIAL_AUGMENTATION", 1.2),
    Variant(name="neither separation nor imitation", constants=(_NO_SEPARATION, _NO_IMITATION)),
    Variant(name="no separation", constants=(_NO_SEPARATION,)),
    Variant(name="no imitation", constants=(_NO_IMITATION,)),
    _fix("separation weight 1", objective, "SEPARATION_WEIGHT", 1.0),
    _fix("imitation weight 3", objective, "IMITATION_WEIGHT", 3.0),
    Variant(
        name="DAMP's projection first", first=partial(projection, strength=0.3, residual="span")
    ),
    _fix("views shifted by one pixel", probing, "SHIFT_FRACTION", 0.0),
    _fix("views never mirrored", probing, "_MIRROR_AGREEMENT", 2.0),
    _vary("scope all", scope="all"),
    _vary("scope last-stage", scope="last-stage"),
    _vary("scope head", scope="head"),
    _vary("one rate for all tensors (Adam 1e-3)", lr=1e-3),
    _fix("relative step at most 0.2 %", budget, "LARGEST_RATE", 2e-3),
    _fix("relative step up to 4 %", budget, "LARGEST_RATE", 4e-2),
    _vary("20 steps, no stop rule", steps=20),
    _vary("300 steps, no stop rule", steps=300),
    Variant(name="no anchors given: made from the forget samples", has_anchors=False),
    _fix(
        "the same, forget samples' other scores not kept",
        objective,
        "FORGET_KEEP_WEIGHT",
        0.0,
        has_anchors=False,
    ),
)


@click.command(NAME)
@data_root_option
@cache_option
@click.option("--network", "names", multiple=True, type=click.Choice(NETWORKS), default=NETWORKS)
@click.option("--seeds", type=click.IntRange(1), default=2, show_default=True)
@fresh_option
def ablation(
    data_root: Path,
    cache: Path,
    names: Sequence[str],
    seeds: int,
    fresh: bool,  # noqa: FBT001 - click's
) -> None:
    """Change one part of the default at a time; rows that were measured before are kept."""
    dataset = load_dataset(DATASET, data_root)
    with resume(NAME, fresh=fresh) as kept:
        done = {get_key(row, KEY) for row in kept.rows}
        for name in names:
            cells = [
                (variant, index, seed)
                for seed, variant, index in product(range(seeds), VARIANTS, CLASSES)
                if (name, variant.name, index, seed) not in done
            ]
            if not cells:
                continue
            classifier = open_classifier(dataset, name, cache)
            for variant, index, seed in track(cells, description=name):
                kept.add(measure(variant, classifier, index, seed))
        publish(kept.rows)


def publish(rows: Sequence[dict[str, Any]]) -> None:
    """Write the page; each line says how many runs it averages."""
    groups = group_rows(rows, "network")
    tables = make_sections({key: summarise(part) for key, part in groups.items()})
    body = (
        f"Fashion-MNIST, classes {', '.join(map(str, CLASSES))}; each seed draws {FORGET_SAMPLES} "
        f"forget samples and {ANCHORS_PER_CLASS} unlabelled anchors of each retained class; means "
        "over `runs`, judged on the 10,000 test images. `unmasked` is Acc_F with the original "
        f"head, `probe` the recall of a new linear head on {PROBED} of the images. A run that "
        "diverges is counted, but left out of the means. The default was chosen on training "
        f"images, not from this table.\n\n{tables}"
    )
    write_results(NAME, "What each part contributes", body, rows)


def measure(variant: Variant, classifier: Classifier, index: int, seed: int) -> dict[str, Any]:
    """Measure one variant on one class of one network."""
    task = draw_task(
        classifier.dataset,
        classifier.name,
        classifier.network,
        (index,),
        per_class=FORGET_SAMPLES,
        seed=seed,
        anchors_per_class=ANCHORS_PER_CLASS if variant.has_anchors else 0,
    )
    row = {"network": classifier.name, "variant": variant.name, "forget": index, "seed": seed}
    try:
        with put_in_place(variant):
            run = run_tool(replace(task, network=variant.first(task)), variant.options)
    except NhleOnnxError as error:
        return {**row, "reason": error.reason}
    before = measure_accuracies(classifier.network, classifier.network, classifier.test, (index,))
    after = measure_accuracies(run.network, classifier.network, classifier.test, (index,))
    return {
        **row,
        "Acc_F": after.acc_f,
        "unmasked": after.unmasked,
        "ΔAcc_R": after.acc_r - before.acc_r,
        "probe": measure_probe(run.network, classifier.test, index),
        "steps": run.report.method["steps_run"],
        "s": sum(run.report.elapsed_s.values()),
    }


def measure_probe(network: nn.Module, test: TestData, index: int) -> float:
    """Measure the recall of a new linear head, as `audit` trains it, on some of the test images."""
    labels = test.labels[:PROBED].numpy()
    features = extract_features(network, test.inputs[:PROBED]).numpy()
    return float(probe_hits(features, labels, split_halves(labels, 0), (index,)).mean())


@contextmanager
def put_in_place(variant: Variant) -> Iterator[None]:
    """Replace constants with the variant's until the context ends."""
    patches = [mock.patch.object(*constant) for constant in variant.constants]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Make a row for each variant on one network: means over classes and seeds."""
    summary = []
    for variant in VARIANTS:
        chosen = pick_rows(rows, variant=variant.name)
        if not chosen:
            continue
        done = [row for row in chosen if "reason" not in row]
        figures: dict[str, Any] = {
            name: fmean(row[name] for row in done) if done else "-"
            for name in ("Acc_F", "unmasked", "ΔAcc_R", "probe")
        }
        figures["worst ΔAcc_R"] = min((row["ΔAcc_R"] for row in done), default="-")
        figures["steps"] = fmean(row["steps"] for row in done) if done else "-"
        figures |= {"runs": len(done), "diverged": len(chosen) - len(done)}
        summary.append({"variant": variant.name, **figures})
    return summary
