"""The paper's Figures 4 and 5: features before and after, and the effect of the rate."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.progress import track
from sklearn.manifold import TSNE

from studies import results
from studies.datasets import DatasetMissingError
from studies.evaluation import TestData, extract_features
from studies.paper_methods import (
    FINETUNED,
    ORIGINAL,
    OURS,
    RATE,
    Experiment,
    Method,
    measure,
    open_experiment,
    take_task,
)
from studies.paper_tables import (
    NOT_FINITE,
    NOT_MEASURED,
    SEPARABILITY,
    Source,
    explain_absence,
    format_cell,
    measure_run,
    name_figures,
)
from studies.paper_text import PAIRS, RATES, describe_pairs, describe_source
from studies.plots import save_picture
from studies.tables import Row, make_table

SHOWN_PER_CLASS = 50  # test images, the first of the file
PERPLEXITY = 30.0
TSNE_SEED = 0
TINY = 1e-30
LOG_SCALE_FROM = 1e3  # ratio of the largest bar to the smallest
COLUMNS = (*SEPARABILITY, "Acc_F", "Acc_R")
EMBEDDED = (
    ORIGINAL,
    *(Method(name, partial(tune, rate=RATE)) for name, tune in FINETUNED.items()),
    OURS,
)

Array = npt.NDArray[np.floating]


class Panel(NamedTuple):
    """A t-SNE embedding [N, 2] of test images with labels [N]; None where it is not finite."""

    title: str
    points: Array | None
    labels: npt.NDArray[np.int64]
    forgotten: tuple[int, ...]


class Drawing(NamedTuple):
    """What a figure shows for one pair: numbers, and a row of panels or of bars."""

    rows: list[Row]
    draw: Sequence[Callable[[Axes], None]]


def write_figure(key: str, source: Source) -> str:
    """Measure a figure, and write its page and its drawing."""
    drawings: list[Drawing] = []
    missing: list[Row] = []
    for pair in PAIRS[key]:
        try:
            experiment = open_experiment(pair, *source)
        except DatasetMissingError as error:
            missing.append({**pair._asdict(), NOT_MEASURED: explain_absence(error, source)})
        else:
            drawings += MAKERS[key](experiment)
    name = f"paper_{key.replace(' ', '_')}"
    rows = [row for drawing in drawings for row in drawing.rows]
    parts = [INTRODUCTIONS[key], describe_pairs(key)]
    if drawings:
        save_drawings(drawings, name)
        parts += [
            f"![The paper's {key}, measured]({name}.svg)",
            make_table(format_rows(rows)),
        ]
    parts += [
        f"- {row['dataset']}, {row['network']}: {NOT_MEASURED}: {row[NOT_MEASURED]}"
        for row in missing
    ]
    packages = ", ".join(f"{name} {version(name)}" for name in ("matplotlib", "scikit-learn"))
    parts += [describe_source(key), f"Run 0, networks trained with seed 0. {packages}."]
    results.write_results(name, f"The paper's {key}", "\n\n".join(parts), [*rows, *missing])
    return f"{name}: {len(drawings)} rows drawn, {len(missing)} pairs without data"


def embed_pair(experiment: Experiment) -> Iterator[Drawing]:
    """Make Figure 4: the features of some test images after each method."""
    shown = choose_first(experiment.test, SHOWN_PER_CLASS)
    task = take_task(experiment, "single", 0, anchored=False)
    before = measure(experiment.network, experiment.test, task.forgotten)
    rows: list[Row] = []
    panels: list[Panel] = []
    for method in track(EMBEDDED, description=f"t-SNE, {experiment.pair.dataset}"):
        network, steps = method.apply(task)
        figures = name_figures(before, measure(network, experiment.test, task.forgotten))
        rows.append({**experiment.pair._asdict(), "method": method.name, "steps": steps, **figures})
        title = f"{experiment.pair.dataset}, {experiment.pair.network}: {method.name}"
        points = embed(extract_features(network, shown.inputs).numpy())
        panels.append(Panel(title, points, shown.labels.numpy(), task.forgotten))
    yield Drawing(rows, [partial(draw_panel, panel=panel) for panel in panels])


def sweep_rates(experiment: Experiment) -> Iterator[Drawing]:
    """Make Figure 5: for each loss, the original and the network after NHLE at each rate."""
    for name, tune in FINETUNED.items():
        methods = [
            ORIGINAL,
            *(Method(f"{rate:.2f}", partial(tune, rate=rate)) for rate in RATES),
        ]
        found = measure_run(experiment, "single", methods, 0)
        rows = [{**experiment.pair._asdict(), "loss": name, **row} for row in found]
        title = f"{experiment.pair.dataset}, {experiment.pair.network}: {name}"
        draw = [
            partial(draw_bars, rows=rows, columns=columns, title=title)
            for columns in (SEPARABILITY, ("Acc_F", "Acc_R"))
        ]
        yield Drawing(rows, draw)


def choose_first(test: TestData, count: int) -> TestData:
    """Choose the first `count` samples of each class."""
    labels = test.labels.numpy()
    chosen = np.sort(
        np.concatenate([np.flatnonzero(labels == label)[:count] for label in np.unique(labels)])
    )
    return TestData(test.inputs[chosen], test.labels[chosen])


def embed(features: Array) -> Array | None:
    """Return a two-dimensional t-SNE of features [N, D]; None if they are not finite."""
    if not np.isfinite(features).all():
        return None
    scaled = features / max(float(features.std()), TINY)
    model = TSNE(
        perplexity=min(PERPLEXITY, (len(features) - 1) / 3), init="random", random_state=TSNE_SEED
    )
    points: Array = model.fit_transform(scaled)
    return points


def draw_panel(axes: Axes, panel: Panel) -> None:
    """Draw points of the classes, the forgotten ones in black and on top."""
    axes.set(title=panel.title, xticks=[], yticks=[])
    if panel.points is None:
        axes.text(0.5, 0.5, NOT_FINITE, ha="center", transform=axes.transAxes)
        return
    kept = [label for label in np.unique(panel.labels) if label not in panel.forgotten]
    colours = mpl.colormaps["turbo"](np.linspace(0, 1, len(kept)))
    for label, colour in zip(kept, colours, strict=True):
        axes.plot(*panel.points[panel.labels == label].T, ".", color=colour, markersize=3)
    forgotten = panel.points[np.isin(panel.labels, panel.forgotten)]
    axes.plot(*forgotten.T, "x", color="black", markersize=4, label="forgotten")
    axes.legend(loc="lower right", fontsize="small")


def draw_bars(axes: Axes, rows: Sequence[Row], columns: Sequence[str], title: str) -> None:
    """Draw a group of bars for each method; values that are not finite have no bar."""
    places = np.arange(len(rows))
    width = 0.8 / len(columns)
    for index, column in enumerate(columns):
        heights = [np.nan if row[column] is None else row[column] for row in rows]
        axes.bar(places + index * width, heights, width, label=column)
    heights = [row[column] for row in rows for column in columns if row[column]]
    if heights and max(heights) > LOG_SCALE_FROM * min(heights) and "Acc_R" not in columns:
        axes.set_yscale("log")
    axes.set_xticks(places + 0.4 - width / 2, [row["method"] for row in rows], rotation=45)
    axes.set_title(title)
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))


def save_drawings(drawings: Sequence[Drawing], name: str) -> None:
    """Write an SVG with a row for each drawing, the same bytes for the same rows."""
    height, width = len(drawings), max(len(drawing.draw) for drawing in drawings)
    with mpl.rc_context({"font.size": 8}):
        figure = Figure(figsize=(12, 3.2 * height), layout="constrained")
        grid = figure.subplots(height, width, squeeze=False)
        for line, drawing in zip(grid, drawings, strict=True):
            for axes, draw in zip(line, drawing.draw, strict=True):
                draw(axes)
        results.RESULTS.mkdir(parents=True, exist_ok=True)
        save_picture(figure, results.RESULTS / f"{name}.svg")


def format_rows(rows: Sequence[Row]) -> list[Row]:
    """Format rows for a page."""
    shown = [name for name in ("dataset", "network", "loss", "method", "steps") if name in rows[0]]
    return [
        {name: row[name] for name in shown}
        | {column: format_cell(column, [row]) for column in COLUMNS}
        for row in rows
    ]


MAKERS: Mapping[str, Callable[[Experiment], Iterator[Drawing]]] = {
    "figure 4": embed_pair,
    "figure 5": sweep_rates,
}
INTRODUCTIONS: Mapping[str, str] = {
    "figure 4": (
        f"t-SNE (seed {TSNE_SEED}, perplexity {PERPLEXITY:g}, each panel on its own) of the "
        f"classifier's input for the first {SHOWN_PER_CLASS} test images of each class: the "
        f"original network, NHLE without a mask at {RATE:.2f} with either loss, and "
        "`unlearn` with its defaults and the same 16 samples. The numbers are for all test images. "
        "The paper's figure is of a simplified setting that its text does not describe."
    ),
    "figure 5": (
        "NHLE without a mask at each rate, with either loss; the first group of bars is the "
        "original network. A missing bar is a value that is not finite. The paper's figure is of "
        "CIFAR-10; its text does not name the network, and does not give the bars' heights."
    ),
}
