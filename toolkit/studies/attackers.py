"""What attackers bring back, beside networks that were trained without the class."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean

import click
from torch import nn

from nhle_onnx.values.audit import AuditReport
from studies import audit as studied
from studies.audit import CLASSES, DATASET, STUDIED, measure_cells, run_audit, use_tool
from studies.datasets import load_dataset
from studies.networks import get_network
from studies.options import cache_option, data_root_option, fresh_option
from studies.results import resume, write_results
from studies.subjects import Classifier, open_classifier
from studies.tables import Row, group_rows, make_sections, pick_rows
from studies.tasks import ANCHORS_PER_CLASS, FORGET_SAMPLES, Task, draw_task

NAME = "attackers"
APPROACHES: Mapping[str, Callable[[Task], nn.Module]] = {
    "CWM only": studied.APPROACHES["CWM only"],
    "DELETE": studied.APPROACHES["DELETE"],
    "nhle-onnx": studied.APPROACHES["nhle-onnx"],
    "nhle-onnx, thorough": partial(use_tool, effort="thorough"),
}
METHODS = tuple(APPROACHES)
PER_CLASS = 300  # test images
SHOWN = {
    "unmasking.original_head": "unmasked",
    "quantization.int8.unmasked": "INT8, unmasked",
    "quantization.int4.unmasked": "INT4, unmasked",
    "revival.unmasked": "revived by retained data",
    "perturbation.original_head": "unmasked under PGD",
    "layers.head.recall_1": "probe, 1 image",
    "layers.head.recall_5": "5 images",
    "layers.head.recall_16": "16 images",
    "layers.head.recall_200": "200 images",
    "layers.head.cka": "CKA to original",
    "relearning.steps": "relearning steps",
    "relearning.mean_acc_f": "relearned in 20 steps",
    "relearning.ain": "AIN",
    "neighbours.acc_r": "accuracy near the class",
    "divergence.js_to_reference": "JS to retrained",
    "closeness.p_value": "closer to retrained (p)",
    "traces.guessed": "guessed from weights",
    "outputs.guessed": "from outputs",
    "difference.guessed_from_answers": "from the difference",
    "membership.calibrated.balanced_accuracy": "membership, with a shadow",
}


@click.command(NAME)
@data_root_option
@cache_option
@click.option("--network", "names", multiple=True, type=click.Choice(STUDIED), default=STUDIED)
@click.option("--forget", "classes", multiple=True, default=CLASSES, show_default=True)
@click.option("--method", "methods", multiple=True, type=click.Choice(METHODS), default=METHODS)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@fresh_option
def attackers(
    data_root: Path,
    cache: Path,
    names: Sequence[str],
    classes: Sequence[str],
    methods: Sequence[str],
    seeds: int,
    fresh: bool,  # noqa: FBT001 - click's
) -> None:
    """Make every attack on each result; rows that were measured before are kept."""
    dataset = load_dataset(DATASET, data_root)
    with resume(NAME, fresh=fresh) as kept:
        cells = list(product(range(seeds), map(int, classes), methods))
        for name in names:
            measure_cells(kept, open_classifier(dataset, name, cache), cells, cache, measure)
        publish(kept.rows)


def measure(classifier: Classifier, method: str, index: int, seed: int, cache: Path) -> Row:
    """Forget, then make every attack."""
    task = draw_task(
        classifier.dataset, classifier.name, classifier.network, (index,),
        per_class=FORGET_SAMPLES, seed=seed, anchors_per_class=ANCHORS_PER_CLASS,
    )  # fmt: skip
    retrained = get_network(classifier.dataset, classifier.name, cache, without=(index,))
    began = time.perf_counter()
    edited = APPROACHES[method](task)
    elapsed = time.perf_counter() - began
    report = run_audit(
        classifier, task, edited, retrained, count=PER_CLASS, effort="thorough", repeats=1
    )
    return summarise(report) | {"s": elapsed}


def summarise(report: AuditReport) -> Row:
    """Return each figure of the original, the edited and the retrained network."""
    original = report.accuracies["original"].acc_r or 0.0
    return {
        "Acc_F": {role: each.acc_f for role, each in report.accuracies.items()},
        "ΔAcc_R": {
            role: (each.acc_r or 0.0) - original for role, each in report.accuracies.items()
        },
        "measures": {
            each.name: [each.original, each.edited, each.reference] for each in report.measures
        },
    }


def publish(rows: Sequence[Row]) -> None:
    """Write the page and the rows."""
    write_results(NAME, "What attackers bring back", describe(rows), rows)


def describe(rows: Sequence[Row]) -> str:
    """Return the page's text."""
    groups = group_rows(rows, "network")
    tables = make_sections({key: tabulate(part) for key, part in groups.items()})
    return (
        f"Fashion-MNIST; `audit --effort thorough`, once, on the first {PER_CLASS} test images of "
        "each class (half for the attacker, half for measuring), beside a network retrained "
        f"without the class. {FORGET_SAMPLES} forget samples and {ANCHORS_PER_CLASS} unlabelled "
        "anchors of each retained class, drawn by the seed. Means over `runs`. Each figure "
        "should be that of the retrained network; `worst` is a run's largest distance from it. "
        "`seconds` are wall-clock time; some runs shared the machine with other work.\n\n"
        f"{tables}"
    )


def tabulate(rows: Sequence[Row]) -> list[Row]:
    """Make a line for each figure on one network."""
    of_method = {method: pick_rows(rows, method=method) for method in METHODS}
    measured = {method: found for method, found in of_method.items() if found}
    lines = [_make_line(title, measured, title) for title in ("Acc_F", "ΔAcc_R")]
    lines += [_make_line(title, measured, name) for name, title in SHOWN.items()]
    lines.append({"figure": "seconds", **dict.fromkeys(list(lines[0])[1:], "-")})
    for method, found in measured.items():
        lines[-1][method] = f"{fmean(row['s'] for row in found):.0f}"
    return lines


def _make_line(title: str, measured: Mapping[str, Sequence[Row]], name: str) -> Row:
    line: Row = {"figure": title}
    triples = {method: _read(rows, name) for method, rows in measured.items()}
    everything = [triple for found in triples.values() for triple in found]
    line["original"] = _mean([triple[0] for triple in everything])
    for method, found in triples.items():
        line[method] = _mean([triple[1] for triple in found])
        line[f"{method}, worst"] = _worst(found)
        line[f"{method}, runs"] = len(measured[method])
    line["retrained"] = _mean([triple[2] for triple in everything])
    return line


def _read(rows: Sequence[Row], name: str) -> list[Sequence[float | None]]:
    """Return the original's, the edited and the retrained network's figure in each row."""
    if name in {"Acc_F", "ΔAcc_R"}:
        return [
            [row[name].get(role) for role in ("original", "edited", "reference")] for row in rows
        ]
    return [row["measures"][name] for row in rows if name in row["measures"]]


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.3f}" if known else "-"


def _worst(triples: Sequence[Sequence[float | None]]) -> str:
    gaps = [
        edited - retrained
        for _, edited, retrained in triples
        if edited is not None and retrained is not None
    ]
    return f"{max(gaps, key=abs):+.3f}" if gaps else "-"
