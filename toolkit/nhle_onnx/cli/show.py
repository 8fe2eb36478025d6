"""Results as text for people, and progress on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import click

from nhle_onnx.cli.log import log
from nhle_onnx.text import format_capped, format_number, name_class, to_line

if TYPE_CHECKING:  # importing rich takes longer than showing a line
    from collections.abc import Iterable, Mapping

    from rich.table import Table

    from nhle_onnx.values.audit import Measure
    from nhle_onnx.values.detection import Precision
    from nhle_onnx.values.difference import TensorDifference
    from nhle_onnx.values.kit import Task
    from nhle_onnx.values.report import Accuracy, OtherKernels
    from nhle_onnx.values.verdict import Check, Verdict

_WORDS: dict[Verdict, tuple[str, str]] = {
    "passed": ("PASSED", "green"),
    "failed": ("FAILED", "red"),
    "not-judged": ("NOT JUDGED", "yellow"),
}
_VERDICTS: dict[Verdict, str] = {
    "passed": "[green]passed[/]",
    "failed": "[bold red]FAILED[/]",
    "not-judged": "[yellow]not judged[/]",
}


class ProgressBar:
    """An observer that draws on stderr: a bar on a terminal, elsewhere a line for each stage."""

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, quiet=quiet)
        self._is_drawn = self._console.is_terminal and not self._console.is_dumb_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._is_drawn,
        )
        self._task = self._progress.add_task("", total=None, detail="")

    def __enter__(self) -> Self:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing, and restore the terminal."""
        self._progress.stop()

    def start_stage(self, name: str) -> None:
        """Show the name of a stage."""
        self._progress.update(self._task, description=name, total=None, completed=0, detail="")
        log(name)
        if not self._is_drawn:
            self._console.print(f"{name} …", highlight=False)

    def advance(self, done: int, total: int, detail: str) -> None:
        """Show the progress of the stage."""
        self._progress.update(self._task, completed=done, total=total, detail=detail)


def show_line(name: str, text: str) -> None:
    """Show one fact: a name and its value."""
    click.echo(f"{name:<9}{to_line(text)}")


def show_notes(notes: tuple[str, ...], *, quiet: bool) -> None:
    """Show notes on stderr."""
    for note in notes:
        log(note, level="NOTE")
        if not quiet:
            click.echo(f"note: {to_line(note)}", err=True)


def show_table(table: Table) -> None:
    """Show a table, as plain text where stdout is not a terminal."""
    from rich.console import Console

    console = Console()
    console.print(table, highlight=False) if console.is_terminal else Console(width=120).print(
        table
    )


def make_checks_table(checks: tuple[Check, ...]) -> Table:
    """Make a table of every check: its limit, the 95 % bound from its images, and its verdict."""
    table = _start_table()
    for name in ("check", "value", "limit", "95 % bound", "images", ""):
        table.add_column(name, justify="left" if name in {"check", ""} else "right")
    for check in checks:
        sign, worst = ("≤", "≤") if check.better == "lower" else ("≥", "≥")
        evidence = check.evidence
        table.add_row(
            check.name,
            format_number(check.value),
            f"{sign} {format_number(check.limit)}",
            f"{worst} {format_number(evidence.bound)}" if evidence else "",
            f"{evidence.images:,}" if evidence else "",
            _VERDICTS[check.verdict],
        )
    return table


def show_gaps(checks: tuple[Check, ...]) -> None:
    """Show what could not be judged, and what would close each gap, once for all checks with it."""
    from nhle_onnx.values.verdict import group_gaps

    for gap, names in group_gaps(checks).items():
        line = f"not judged: {', '.join(names)}: {to_line(gap)}"
        log(line, level="NOTE")
        click.echo(line)


def make_accuracy_table(
    labels: tuple[str, ...], forget: tuple[int, ...], columns: dict[str, Accuracy]
) -> Table:
    """Make a table of each class's accuracy, one column for each measurement. Forgotten classes are
    marked; of many classes, those that changed most are shown.
    """
    return _make_class_table(
        labels, forget, columns, {"Acc_F, forgotten": "acc_f", "Acc_R, retained": "acc_r"}
    )


def make_kit_table(
    labels: tuple[str, ...], forget: tuple[int, ...], columns: dict[str, Accuracy], task: Task
) -> Table:
    """Make a table of each class's accuracy, or of the share of its objects that are detected."""
    if task == "classifier":
        return make_accuracy_table(labels, forget, columns)
    figures = {"detected, forgotten": "acc_f", "detected, retained": "acc_r"}
    return _make_class_table(labels, forget, columns, figures)


def make_precision_table(
    labels: tuple[str, ...], forget: tuple[int, ...], columns: dict[str, Precision]
) -> Table:
    """Make a table of each class's average precision, as `make_accuracy_table` does."""
    figures = {"AP_F, forgotten": "ap_f", "mAP_R, retained": "map_r"}
    return _make_class_table(labels, forget, columns, figures)


def _make_class_table(
    labels: tuple[str, ...],
    forget: tuple[int, ...],
    columns: Mapping[str, Accuracy | Precision],
    means: dict[str, str],
) -> Table:
    from nhle_onnx.release.rows import choose_rows, measure_spread

    table = _start_table()
    table.add_column("class")
    for name in columns:
        table.add_column(name, justify="right")
    values = {name: found.per_class for name, found in columns.items()}
    rows = choose_rows(len(labels), forget, values, measure_spread)
    for index in rows:
        name = _escape(name_class(index, labels[index]))
        shown = f"{name} (forgotten)" if index in forget else name
        cells = [format_number(found.per_class[index]) for found in columns.values()]
        table.add_row(shown, *cells)
    if left_out := len(labels) - len(rows):
        table.add_row(f"… and {left_out:,} more")
    for shown, field in means.items():
        cells = [format_number(getattr(found, field)) for found in columns.values()]
        table.add_row(shown, *cells, style="bold")
    return table


def name_other_columns(other: OtherKernels | None) -> dict[str, Accuracy]:
    """Name the columns of figures by the other kernels."""
    accuracies = other.accuracies if other else {}
    return {f"{name}, {other.kernels}": found for name, found in accuracies.items() if other}


def make_measures_table(measures: tuple[Measure, ...]) -> Table:
    """Make a table of each attack's figures, and where the edited model stands."""
    table = _start_table()
    for name in ("measure", "original", "edited", "range", "reference", "position"):
        table.add_column(name, justify="left" if name == "measure" else "right")
    for measure in measures:
        original, edited, reference = (
            format_capped(value, measure.cap)
            for value in (measure.original, measure.edited, measure.reference)
        )
        spread = (format_capped(value, measure.cap) for value in measure.interval or ())
        position = format_number(measure.position)
        table.add_row(measure.name, original, edited, " to ".join(spread), reference, position)
    return table


def show_verdict(verdict: Verdict, meaning: str = "") -> None:
    """Show the last line: the verdict, and what it means."""
    word, colour = _WORDS[verdict]
    log(f"{word}: {meaning}" if meaning else word)
    line = click.style(word, fg=colour, bold=True)
    click.echo(f"{line}: {to_line(meaning)}" if meaning else line)


def make_differences_table(tensors: Iterable[TensorDifference]) -> Table:
    """Make a table with a row for each tensor that differs."""
    table = _start_table()
    for column in ("tensor", "what", "type"):
        table.add_column(column)
    for column in ("rows changed", "largest change"):
        table.add_column(column, justify="right")
    for tensor in tensors:
        shape = "x".join(map(str, tensor.shape))
        table.add_row(
            _escape(to_line(tensor.name)),
            tensor.kind,
            f"{tensor.dtype} {shape}",
            f"{tensor.changed_rows} of {tensor.row_count}" if tensor.row_count else "",
            "" if tensor.largest is None else f"{tensor.largest:.4g}",
        )
    return table


def _start_table() -> Table:
    from rich.table import Table

    return Table(box=None, pad_edge=False, header_style="bold")


def _escape(text: str) -> str:
    """Escape text, so that it is not read as markup."""
    from rich.markup import escape

    return escape(text)
