"""The audit's figures for six ways to forget."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.progress import track
from torch import nn

from nhle_onnx.values.audit import AuditReport
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.audit import audit_model
from nhle_onnx.workflows.observer import Silence
from studies.baselines.table import METHODS, Group, restrict
from studies.baselines.tuning import tune
from studies.datasets import load_dataset
from studies.networks import NETWORKS, get_network, measure_statistics, prepare_inputs
from studies.options import cache_option, data_root_option, fresh_option
from studies.ours import export, fold_batch_norm, run_tool
from studies.results import KeptRows, resume, write_results
from studies.subjects import Classifier, open_classifier
from studies.tables import (
    Row,
    get_key,
    group_rows,
    make_sections,
    pick_rows,
    write_spread,
)
from studies.tasks import ANCHORS_PER_CLASS, FORGET_SAMPLES, Task, draw_task

NAME = "audit"
DATASET = "fashion_mnist"
STUDIED = ("lenet5", "mobilenetv3-small")
CLASSES = ("0", "3", "8")
MEMBERS = 1000
KEY = ("network", "method", "forget", "seed")
SHOWN = {
    "unmasking.original_head": "unmasked",
    "unmasking.rebuilt_row": "rebuilt row",
    "probe.recall": "probe",
    "relearning.steps": "relearning steps",
    "relearning.mean_acc_f": "relearned in 20 steps",
    "relearning.ain": "AIN",
    "separability.ratio": "Ratio_D",
    "membership.confidence.balanced_accuracy": "membership",
    "membership.neighbours.balanced_accuracy": "by neighbours",
    "divergence.js_to_reference": "JS to retrained",
    "divergence.zrf": "ZRF",
    "quantization.static_int8.unmasked": "int8, unmasked",
    "traces.guessed": "guessed",
}


def keep_original(task: Task) -> nn.Module:
    """Forget nothing."""
    return task.network


def use_tool(task: Task, **options: Any) -> nn.Module:  # noqa: ANN401 - any option
    """Forget with the tool and some options."""
    return run_tool(task, UnlearnOptions(**options)).network


def use_delete(task: Task) -> nn.Module:
    """Forget with DELETE, in the best setting of its budget, as in `compare`."""
    method = next(method for method in METHODS if method.name == "DELETE")
    return tune(method, restrict(task, Group.FORGET)).network


APPROACHES: Mapping[str, Callable[[Task], nn.Module]] = {
    "original": keep_original,
    "CWM only": lambda task: use_tool(task, method="cwm"),
    "NHLE only": lambda task: use_tool(task, method="nhle"),
    "nhle-onnx": use_tool,
    "nhle-onnx, no anchors": lambda task: use_tool(restrict(task, Group.FORGET)),
    "DELETE": use_delete,
}
RETRAINED = "retrained"


@click.command(NAME)
@data_root_option
@cache_option
@click.option("--network", "names", multiple=True, type=click.Choice(STUDIED), default=STUDIED)
@click.option("--forget", "classes", multiple=True, default=CLASSES, show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@fresh_option
def audit(
    data_root: Path,
    cache: Path,
    names: Sequence[str],
    classes: Sequence[str],
    seeds: int,
    fresh: bool,  # noqa: FBT001
) -> None:
    """Audit each way to forget beside a retrained network; rows measured before are kept."""
    dataset = load_dataset(DATASET, data_root)
    with resume(NAME, fresh=fresh) as kept:
        cells = list(product(range(seeds), map(int, classes), (*APPROACHES, RETRAINED)))
        for name in names:
            measure_cells(kept, open_classifier(dataset, name, cache), cells, cache, measure)
        publish(kept.rows)
    click.echo(describe(kept.rows))


def measure_cells(
    kept: KeptRows,
    classifier: Classifier,
    cells: Sequence[tuple[int, int, str]],
    cache: Path,
    measure_one: Callable[[Classifier, str, int, int, Path], Row],
) -> None:
    """Add a row for each seed, class and method that has none."""
    done = {get_key(row, KEY) for row in kept.rows}
    for seed, index, method in track(cells, description=classifier.name):
        key = (classifier.name, method, index, seed)
        if key not in done:
            found = measure_one(classifier, method, index, seed, cache)
            kept.add(dict(zip(KEY, key, strict=True)) | found)


def measure(classifier: Classifier, method: str, index: int, seed: int, cache: Path) -> Row:
    """Forget, then audit with the whole test set and the retrained network."""
    task = draw_task(
        classifier.dataset, classifier.name, classifier.network, (index,),
        per_class=FORGET_SAMPLES, seed=seed, anchors_per_class=ANCHORS_PER_CLASS,
    )  # fmt: skip
    retrained = get_network(classifier.dataset, classifier.name, cache, without=(index,))
    edited = retrained if method == RETRAINED else APPROACHES[method](task)
    return summarise_report(run_audit(classifier, task, edited, retrained, effort="fast"))


def run_audit(
    classifier: Classifier,
    task: Task,
    edited: nn.Module,
    retrained: nn.Module,
    *,
    count: int | None = None,
    **settings: Any,  # noqa: ANN401 - any setting
) -> AuditReport:
    """Audit an edited network beside the original and a retrained one, on the first `count` test
    images of each class, by default all.
    """
    (index,) = task.forgotten
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for role, network in {
            "original": classifier.network, "edited": edited, "reference": retrained
        }.items():  # fmt: skip
            export(fold_batch_norm(network), task, folder / f"{role}.onnx")
        write_data(classifier, index, folder, count)
        report = audit_model(
            AuditSettings(
                model=folder / "edited.onnx",
                baseline=folder / "original.onnx",
                reference=folder / "reference.onnx",
                data=folder / "data.npz",
                members=folder / "members.npz",
                forget=(str(index),),
                flags=ModelFlags(),
                seed=task.seed,
                **settings,
            ),
            Silence(),
        ).report
    if not isinstance(report, AuditReport):
        raise TypeError(classifier.name)
    return report


def write_data(classifier: Classifier, index: int, folder: Path, count: int | None) -> None:
    """Write test images, and training images of the class, as model inputs."""
    labels = classifier.test.labels.numpy()
    shown = np.concatenate(
        [np.flatnonzero(labels == each)[:count] for each in range(classifier.dataset.num_classes)]
    )
    np.savez(folder / "data.npz", x=classifier.test.inputs.numpy()[shown], y=labels[shown])
    train = classifier.dataset.train
    chosen = np.flatnonzero(train.labels == index)[:MEMBERS]
    inputs = prepare_inputs(
        train.images[chosen], NETWORKS[classifier.name], measure_statistics(classifier.dataset)
    )
    np.savez(folder / "members.npz", x=inputs.numpy(), y=train.labels[chosen])


def summarise_report(report: AuditReport) -> Row:
    """Return the figures of a row: the edited model's, and its position."""
    edited, original = report.accuracies["edited"], report.accuracies["original"]
    return {
        "Acc_F": edited.acc_f,
        "ΔAcc_R": (edited.acc_r or 0.0) - (original.acc_r or 0.0),
        "measures": {measure.name: measure.edited for measure in report.measures},
        "positions": {measure.name: measure.position for measure in report.measures},
        "passed": report.passed,
        "s": sum(report.elapsed_s.values()),
    }


def publish(rows: Sequence[Row]) -> None:
    """Write the page and the rows."""
    write_results(NAME, "What the audit finds", describe(rows), rows)


def describe(rows: Sequence[Row]) -> str:
    """Return the page's text."""
    groups = group_rows(rows, "network")
    tables = make_sections({key: tabulate(part) for key, part in groups.items()})
    return (
        "Fashion-MNIST; `audit` with all 10,000 test images (half for the attacker, half for "
        f"measuring), {MEMBERS} training images of the class as members, and a network retrained "
        f"without the class as the reference. {FORGET_SAMPLES} forget samples, drawn by the seed; "
        f"{ANCHORS_PER_CLASS} unlabelled anchors of each retained class for `NHLE only` and "
        "`nhle-onnx`. Means ± standard deviation over classes and seeds. Each figure should be "
        "that of the retrained network, not 0.\n\n"
        f"{tables}"
    )


def tabulate(rows: Sequence[Row]) -> list[Row]:
    """Make a line for each way to forget on one network."""
    lines = []
    for method in (*APPROACHES, RETRAINED):
        chosen = pick_rows(rows, method=method)
        if not chosen:
            continue
        line: Row = {"method": method, "runs": len(chosen)}
        for title in ("Acc_F", "ΔAcc_R"):
            line[title] = write_spread((row[title] for row in chosen), ".3f")
        for key, title in SHOWN.items():
            line[title] = write_spread((row["measures"].get(key) for row in chosen), ".3f")
        line["passed"] = f"{sum(row['passed'] for row in chosen)} of {len(chosen)}"
        lines.append(line)
    return lines
