"""What goes on over steps: lines."""

from collections.abc import Mapping, Sequence
from math import ceil

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from nhle_onnx.release.page.charts.style import COLOURS, DASHES, HIGHLIGHTS, ROLE_NAMES, add_legend
from nhle_onnx.release.page.svg import INK
from nhle_onnx.values.outcomes import Role
from nhle_onnx.values.report import TrainingStep

_PANELS = 3  # beside one another


def draw_curves(
    figure: Figure, curves: Mapping[Role, Sequence[float]], label: str = "recognised"
) -> None:
    """Acc_F or AP_F after each step of relearning, a line for each model."""
    axes = figure.subplots()
    for role, curve in curves.items():
        axes.plot(
            curve,
            DASHES[role],
            color=COLOURS[role],
            label=ROLE_NAMES[role],
            linewidth=2,
            marker="o" if len(curve) == 1 else "",
        )
    axes.set(xlabel="step of relearning", ylabel=label, ylim=(-0.02, 1.02), xlim=(0, None))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid()
    add_legend(figure, axes)


def draw_layers(figure: Figure, layers: Mapping[str, Mapping[Role, Mapping[int, float]]]) -> None:
    """Recall by images a class, a panel for each layer, a line for each model."""
    columns = min(_PANELS, len(layers))
    rows = ceil(len(layers) / columns)
    figure.set_size_inches(figure.get_figwidth(), 2.2 * rows + 0.5)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, (name, recalls) in zip(panels, layers.items(), strict=False):
        for role, recall in recalls.items():
            axes.plot(
                recall.keys(),
                recall.values(),
                DASHES[role],
                color=COLOURS[role],
                label=ROLE_NAMES[role],
                marker="o",
                markersize=4,
            )
        axes.set(title=name, ylim=(-0.02, 1.02), xscale="log", xlabel="images a class")
        shots = list(next(iter(recalls.values())))
        axes.set_xticks(shots, map(str, shots))
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.grid()
    for axes in panels[len(layers) :]:
        axes.set_visible(False)
    add_legend(figure, figure.axes[0])


def draw_trajectory(figure: Figure, trajectory: Sequence[TrainingStep]) -> None:
    """Losses by step, and under them the forget samples' largest margin."""
    figure.set_size_inches(figure.get_figwidth(), 4.4)
    upper, lower = figure.subplots(2, 1, sharex=True)
    steps = [point.step for point in trajectory]
    for name, colour, dashes in zip(
        ("forget_loss", "retain_loss", "alignment_loss"),
        HIGHLIGHTS,
        ("--", "-", ":"),
        strict=False,
    ):
        losses = [getattr(point, name) for point in trajectory]
        label = name.replace("_", " ")
        upper.plot(steps, losses, dashes, color=colour, label=label, linewidth=1.8)
    lower.plot(steps, [point.forget_margin for point in trajectory], color=INK, linewidth=1.8)
    lower.axhline(0, color=INK, linewidth=0.8)
    upper.set_ylabel("loss")
    lower.set(ylabel="largest margin", xlabel="step")
    upper.grid()
    lower.grid()
    add_legend(figure, upper)
