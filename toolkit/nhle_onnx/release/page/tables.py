"""Tables of a page. Every figure is written as the terminal writes it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from nhle_onnx.release.page.charts import ROLE_NAMES
from nhle_onnx.release.page.elements import Row, Table
from nhle_onnx.release.page.pictures import name_classes
from nhle_onnx.text import format_capped, format_number
from nhle_onnx.values.audit import Measure, Role
from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.summary import FileSummary, ModelSummary
from nhle_onnx.values.verdict import Check, Verdict, group_gaps

VERDICT_NAMES: dict[Verdict, str] = {
    "passed": "passed",
    "failed": "FAILED",
    "not-judged": "not judged",
}
_MEANINGS = {
    "after.acc_f": "accuracy on the forgotten classes",
    "delta_acc_r": "change of accuracy on the other classes",
    "unmasked.acc_f": "accuracy on the forgotten classes with the original head put back",
    "known_before": "accuracy of the model as given on the forgotten classes: had it known them?",
    "skill_after": "how well the model tells the other classes apart, from 0 to 1",
    "skill_before": "how well the model as given tells classes apart, from 0 to 1",
    "tensors_changed_outside_scope": "weights changed that were not to change",
    "graph_changes": "changes of the graph's structure",
    "growth_bytes": "bytes by which the file grew",
}


def tabulate_checks(checks: Sequence[Check], measures: Sequence[Measure] = ()) -> Table:
    """Every check with its limit, its evidence and its verdict; those not passed are marked."""
    meanings = _MEANINGS | {measure.name: measure.title for measure in measures}
    return Table(
        title="Each figure against its limit",
        header=(
            "check", "verdict", "value", "limit", "95 % bound", "images", "95 % interval",
            "what it says",
        ),
        rows=tuple(
            Row(cells=_list_cells(check, meanings), is_marked=check.verdict != "passed")
            for check in checks
        ),
        figures=frozenset({2, 3, 4, 5, 6}),
    )  # fmt: skip


def list_gaps(checks: Sequence[Check]) -> tuple[str, ...]:
    """What could not be judged, with what would close each gap."""
    return tuple(f"{', '.join(names)}: {gap}" for gap, names in group_gaps(checks).items())


def _list_cells(check: Check, meanings: Mapping[str, str]) -> tuple[str, ...]:
    sign = "≤" if check.better == "lower" else "≥"
    evidence = check.evidence
    interval = " to ".join(map(format_number, evidence.interval)) if evidence else ""
    return (
        check.name,
        VERDICT_NAMES[check.verdict],
        format_number(check.value),
        f"{sign} {format_number(check.limit)}",
        f"{sign} {format_number(evidence.bound)}" if evidence else "",
        f"{evidence.images:,}" if evidence else "",
        interval,
        meanings.get(check.name, ""),
    )


def tabulate_accuracy(
    labels: Sequence[str], forget: Sequence[int], accuracies: Mapping[Role, Accuracy]
) -> Table:
    """Accuracy of each class, one column a model; forgotten classes are marked."""
    classes = tuple(
        Row(
            cells=(name, *(_at_class(accuracy, index) for accuracy in accuracies.values())),
            is_marked=index in forget,
        )
        for index, name in enumerate(name_classes(labels, forget))
    )
    means = tuple(
        Row(cells=(name, *(format_number(getattr(found, key)) for found in accuracies.values())))
        for name, key in (("Acc_F, forgotten", "acc_f"), ("Acc_R, retained", "acc_r"))
    )
    return Table(
        title="Accuracy of each class",
        header=("class", *(ROLE_NAMES[role] for role in accuracies)),
        rows=(*classes, *means),
        figures=frozenset(range(1, len(accuracies) + 1)),
    )


def _at_class(accuracy: Accuracy, index: int) -> str:
    known = index < len(accuracy.per_class)
    return format_number(accuracy.per_class[index] if known else None)


def tabulate_measures(measures: Sequence[Measure]) -> Table:
    """Every figure of every attack, on each model."""
    return Table(
        title="Figures of each attack",
        header=("attack", "measure", "original", "edited", "retrained", "position"),
        rows=tuple(
            Row(
                cells=(
                    measure.attack,
                    measure.title,
                    format_capped(measure.original, measure.cap),
                    _with_interval(measure),
                    format_capped(measure.reference, measure.cap),
                    format_number(measure.position),
                )
            )
            for measure in measures
        ),
        figures=frozenset({2, 3, 4, 5}),
    )


def _with_interval(measure: Measure) -> str:
    if measure.interval is None:
        return format_capped(measure.edited, measure.cap)
    low, high = (format_capped(value, measure.cap) for value in measure.interval)
    return f"{format_capped(measure.edited, measure.cap)} [{low}, {high}]"


def tabulate_files(files: Mapping[str, FileSummary | ModelSummary | None]) -> Table:
    """What identifies each model, down to the files that hold its weights."""
    return Table(
        title="Models",
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
    """Names and values, as the JSON has them."""
    return Table(
        title=title,
        header=("what", "value"),
        rows=tuple(Row(cells=(name, _write(value))) for name, value in facts.items()),
    )


def list_preprocess(preprocess: Preprocess | None) -> dict[str, Any]:
    """Where the preprocessing was found, and its steps."""
    if preprocess is None:
        return {"preprocess": "none was needed"}
    return {f"preprocess: {name}": value for name, value in dataclasses.asdict(preprocess).items()}


def _write(value: Any) -> str:  # noqa: ANN401 - whatever a report holds
    if value is None:
        return "-"
    if isinstance(value, tuple | list):
        return ", ".join(map(_write, value)) or "-"
    return str(value)
