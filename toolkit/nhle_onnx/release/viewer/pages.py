"""The pages of the viewer: all reports side by side, and each by itself."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from nhle_onnx.release.page.cleaning import clean
from nhle_onnx.release.page.content.choose import PAGES
from nhle_onnx.release.page.elements import Page, Row, Section, Table
from nhle_onnx.release.page.figures import (
    format_of_measure,
    format_plain,
    format_points,
    format_precision,
    format_share,
)
from nhle_onnx.release.page.render import render_page
from nhle_onnx.release.page.tables import VERDICT_NAMES
from nhle_onnx.release.rows import at, choose_rows, measure_spread, name_classes, name_measure
from nhle_onnx.release.viewer.documents import Document, Report
from nhle_onnx.text import name_forgotten
from nhle_onnx.values.audit import AuditReport, Measure
from nhle_onnx.values.detection import DetectionReport, DetectionVerifyReport
from nhle_onnx.values.detection_audit import DetectionAuditReport
from nhle_onnx.values.fleet import FleetReport
from nhle_onnx.values.report import Accuracy, UnlearnReport, VerifyReport

_KINDS = {
    UnlearnReport: "unlearn", VerifyReport: "verify", AuditReport: "audit", FleetReport: "fleet",
    DetectionReport: "unlearn", DetectionVerifyReport: "verify", DetectionAuditReport: "audit",
}  # fmt: skip
_DETECTIONS = DetectionReport | DetectionVerifyReport | DetectionAuditReport


def list_pages(documents: Sequence[Document]) -> dict[str, Callable[[], str]]:
    """List the pages by their path, each to be rendered when it is asked for."""
    pages: dict[str, Callable[[], str]] = {"": lambda: render_page(describe_all(documents))}
    for number, document in enumerate(documents):
        pages[f"report/{number}"] = partial(_render, document.report)
    return pages


def _render(report: Report) -> str:
    return render_page(PAGES[type(report)](report))


def describe_all(documents: Sequence[Document]) -> Page:
    """Return the first page: every report in a row, and what can be compared."""
    documents = clean(tuple(documents))
    tables = (*_compare_classes(documents), *_compare_attacks(documents))
    return Page(
        title="Reports",
        tool="nhle-onnx",
        verdict=None,
        sections=tuple(
            section
            for section in (
                Section(title="Runs", tables=(_tabulate_runs(documents),)),
                Section(title="Side by side", tables=tables),
            )
            if not section.is_empty
        ),
    )


def _tabulate_runs(documents: Sequence[Document]) -> Table:
    return Table(
        title="Each report opens with all its figures and images",
        header=("report", "verdict", "forgotten", "other classes", "command", "classes"),
        rows=tuple(
            Row(
                cells=(document.name, *_summarize(document.report)),
                is_marked=document.report.verdict != "passed",
                link=f"report/{number}",
            )
            for number, document in enumerate(documents)
        ),
        figures=frozenset({2, 3}),
    )


def _summarize(report: Report) -> tuple[str, ...]:
    verdict, kind = VERDICT_NAMES[report.verdict], _KINDS[type(report)]
    if isinstance(report, FleetReport):
        return verdict, "-", "-", kind, f"{len(report.jobs):,} jobs"
    if isinstance(report, _DETECTIONS):
        figures = (format_precision(report.after.ap_f), format_plain(report.delta_map_r))
        return verdict, *figures, kind, name_forgotten(report.labels, report.forget)
    before, after = _find_accuracies(report)
    change = None
    if before and after and before.acc_r is not None and after.acc_r is not None:
        change = after.acc_r - before.acc_r
    return (
        verdict,
        format_share(after.acc_f if after else None),
        format_points(change),
        kind,
        name_forgotten(report.labels, report.forget),
    )


def _find_accuracies(report: Report) -> tuple[Accuracy | None, Accuracy | None]:
    if isinstance(report, AuditReport):
        return report.accuracies.get("original"), report.accuracies.get("edited")
    if isinstance(report, FleetReport | _DETECTIONS):
        return None, None
    return report.before, report.after


def _compare_classes(documents: Sequence[Document]) -> tuple[Table, ...]:
    """Accuracies of every class after forgetting, a column for each report of the same classes."""
    groups: dict[tuple[str, ...], dict[str, Accuracy]] = {}
    forgotten: dict[tuple[str, ...], set[int]] = {}
    for number, document in enumerate(documents):
        report, (before, after) = document.report, _find_accuracies(document.report)
        if isinstance(report, FleetReport) or after is None:
            continue
        columns = groups.setdefault(report.labels, {"before": before} if before else {})
        columns[f"{number + 1}. {document.name}"] = after
        forgotten.setdefault(report.labels, set()).update(report.forget)
    return tuple(
        _tabulate_classes(labels, sorted(forgotten[labels]), columns)
        for labels, columns in groups.items()
    )


def _tabulate_classes(
    labels: Sequence[str], forget: Sequence[int], columns: Mapping[str, Accuracy]
) -> Table:
    values = {name: accuracy.per_class for name, accuracy in columns.items()}
    rows = choose_rows(len(labels), forget, values, measure_spread)
    names = name_classes(labels, forget)
    return Table(
        title="Accuracy of each class, or of those that differ most",
        header=("class", *columns),
        rows=tuple(
            Row(
                cells=(names[row], *(format_share(at(each, row)) for each in values.values())),
                is_marked=row in forget,
            )
            for row in rows
        ),
        figures=frozenset(range(1, len(columns) + 1)),
    )


def _compare_attacks(documents: Sequence[Document]) -> tuple[Table, ...]:
    """Return what each attack found in the edited model, a column for each audit."""
    audits = {
        f"{number + 1}. {document.name}": {each.name: each for each in document.report.measures}
        for number, document in enumerate(documents)
        if isinstance(document.report, AuditReport | DetectionAuditReport)
    }
    measures: dict[str, Measure] = {}
    for found in audits.values():
        measures = {**found, **measures}
    if not measures:
        return ()
    return (
        Table(
            title="What attacks found in the edited models",
            header=("what was tried", *audits),
            rows=tuple(
                Row(
                    cells=(
                        name_measure(measure),
                        *(_write(found.get(name)) for found in audits.values()),
                    )
                )
                for name, measure in measures.items()
            ),
            figures=frozenset(range(1, len(audits) + 1)),
        ),
    )


def _write(measure: Measure | None) -> str:
    return format_of_measure(measure, measure.edited) if measure else "-"
