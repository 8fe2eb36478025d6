"""Tables of a page."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from nhle_onnx.release.page.elements import Row, Table
from nhle_onnx.release.page.explanations import explain_figure, name_check
from nhle_onnx.release.page.figures import (
    format_of_check,
    format_of_measure,
)
from nhle_onnx.release.rows import name_measure
from nhle_onnx.text import format_number
from nhle_onnx.values.audit import Measure
from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.values.summary import FileSummary, ModelSummary
from nhle_onnx.values.verdict import Check, Verdict, group_gaps

VERDICT_NAMES: dict[Verdict, str] = {
    "passed": "passed",
    "failed": "FAILED",
    "not-judged": "not judged",
}


def tabulate_checks(checks: Sequence[Check], measures: Sequence[Measure] = ()) -> Table:
    """Tabulate every check with limit, evidence and verdict; those not passed are marked."""
    return Table(
        title="Each figure against its limit",
        header=("what was checked", "verdict", "value", "limit", "at worst", "images", "name"),
        rows=tuple(
            Row(cells=_list_cells(check, measures), is_marked=check.verdict != "passed")
            for check in checks
        ),
        figures=frozenset({2, 3, 4, 5}),
    )


def list_gaps(checks: Sequence[Check], measures: Sequence[Measure] = ()) -> tuple[str, ...]:
    """List what could not be judged, with what would close each gap."""
    return tuple(
        f"{'; '.join(name_check(name, measures) for name in names)}: {gap}"
        for gap, names in group_gaps(checks).items()
    )


def _list_cells(check: Check, measures: Sequence[Measure]) -> tuple[str, ...]:
    sign = "≤" if check.better == "lower" else "≥"
    evidence = check.evidence
    return (
        name_check(check.name, measures),
        VERDICT_NAMES[check.verdict],
        format_of_check(check, check.value),
        f"{sign} {format_of_check(check, check.limit)}",
        f"{sign} {format_of_check(check, evidence.bound)}" if evidence else "",
        f"{evidence.images:,}" if evidence else "",
        check.name,
    )


def tabulate_attacks(measures: Sequence[Measure]) -> tuple[Table, ...]:
    """Tabulate every figure of every attack on each model, with what it says. Those of layers are
    folded: they are many, and a picture shows them.
    """
    of_layers = [measure for measure in measures if measure.attack == "layers"]
    others = [measure for measure in measures if measure.attack != "layers"]
    return (
        _tabulate("Each attack, and what it found", others, is_folded=False),
        *((_tabulate("What each layer still tells", of_layers),) if of_layers else ()),
    )


def _tabulate(title: str, measures: Sequence[Measure], *, is_folded: bool = True) -> Table:
    has_reference = any(measure.reference is not None for measure in measures)
    explained = [explain_figure(measure.name) for measure in measures]
    told = [
        "as above" if text and text == last else text
        for text, last in zip(explained, ["", *explained], strict=False)
    ]
    return Table(
        title=title,
        is_folded=is_folded,
        header=(
            "what was tried", "original", "edited", *(("retrained",) if has_reference else ()),
            "what it says",
        ),
        rows=tuple(
            Row(cells=(*_list_attack(measure, has_reference=has_reference), text))
            for measure, text in zip(measures, told, strict=True)
        ),
        figures=frozenset({1, 2, 3} if has_reference else {1, 2}),
    )  # fmt: skip


def _list_attack(measure: Measure, *, has_reference: bool) -> tuple[str, ...]:
    return (
        name_measure(measure),
        format_of_measure(measure, measure.original),
        format_of_measure(measure, measure.edited),
        *((format_of_measure(measure, measure.reference),) if has_reference else ()),
    )


def tabulate_measures(measures: Sequence[Measure]) -> Table:
    """Tabulate every figure as the JSON has it, with its interval and its position; folded."""
    return Table(
        title="Every figure as the JSON has it",
        header=("name", "original", "edited", "lowest", "highest", "retrained", "position"),
        rows=tuple(
            Row(cells=(measure.name, *map(format_number, _list_figures(measure))))
            for measure in measures
        ),
        figures=frozenset(range(1, 7)),
        is_folded=True,
    )


def _list_figures(measure: Measure) -> tuple[float | None, ...]:
    low, high = measure.interval or (None, None)
    return (measure.original, measure.edited, low, high, measure.reference, measure.position)


def tabulate_files(files: Mapping[str, FileSummary | ModelSummary | None]) -> Table:
    """Tabulate what identifies each model, down to the files that hold its weights."""
    return Table(
        title="Models",
        is_folded=True,
        header=("model", "file", "bytes", "SHA-256"),
        rows=tuple(
            row
            for name, file in files.items()
            if file is not None
            for row in (
                Row(cells=(name, file.path, f"{file.size_bytes:,}", file.sha256)),
                *(
                    Row(cells=(f"{name}, weights", sidecar, "", digest))
                    for sidecar, digest in file.sidecars.items()
                ),
            )
        ),
        figures=frozenset({2}),
    )


def tabulate_facts(title: str, facts: Mapping[str, Any]) -> Table:
    """Tabulate names and values, as the JSON has them; folded."""
    rows = tuple(Row(cells=(name, _write(value))) for name, value in facts.items())
    return Table(title=title, is_folded=True, header=("what", "value"), rows=rows)


def list_preprocess(preprocess: Preprocess | None) -> dict[str, Any]:
    """List where the preprocessing was found, and its steps."""
    if preprocess is None:
        return {"preprocess": "none was needed"}
    return {f"preprocess: {name}": value for name, value in dataclasses.asdict(preprocess).items()}


def _write(value: Any) -> str:  # noqa: ANN401 - whatever a report holds
    if value is None:
        return "-"
    if isinstance(value, tuple | list):
        return ", ".join(map(_write, value)) or "-"
    return str(value)
