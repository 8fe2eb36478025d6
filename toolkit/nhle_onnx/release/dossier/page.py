"""The page of a dossier, for someone who answers for the erasure and has trained no model."""

import datetime as dt
from collections.abc import Iterator

from nhle_onnx.release.formats.markdown import VERDICTS
from nhle_onnx.release.formats.overview import describe_check
from nhle_onnx.release.page.cleaning import clean
from nhle_onnx.release.page.elements import Page, Row, Section, Table, Verdict
from nhle_onnx.release.page.explanations import CHECKS
from nhle_onnx.text import format_number, name_forgotten
from nhle_onnx.values.dossier import Dossier, Finding
from nhle_onnx.values.verdict import Check

_TITLES = {"erasure": "Erasure dossier", "masking": "Masking, not erasure: dossier"}
_ERASED = "Erased: every check passed. {shown}."
_FAILED = "Not erased: {failed} did not hold. The model must not be used as one that has forgotten."
_OPEN = "Not shown: nothing failed, but erasure is not shown. What is missing is listed."
_MASKED = (
    "Masked, not erased. The model no longer answers {names}, but still holds what it learned. "
    "This must not be reported as erasure."
)


def describe_dossier(dossier: Dossier) -> Page:
    """Return the page: what was asked, done and found, what may be left, and the evidence."""
    dossier = clean(dossier)
    sections = (
        Section(title="The request", tables=(_tabulate_request(dossier),)),
        Section(title="What was found", tables=(_tabulate_findings(dossier),)),
        Section(title="What was not shown", points=dossier.gaps),
        Section(title="What may be left", points=dossier.risks),
        Section(
            title="Who signed", tables=(_tabulate_signers(dossier),), sentences=_name_key(dossier)
        ),
        Section(title="The files", sentences=(_FILES,), tables=(_tabulate_files(dossier),)),
        Section(title="Every figure", tables=tuple(map(_tabulate_checks, dossier.findings))),
        Section(
            title="How it was done",
            tables=(_tabulate("Method", {"command": dossier.command, **dossier.method}),),
        ),
        Section(
            title="Notes of the reports",
            points=tuple(
                f"{finding.source}: {note}"
                for finding in dossier.findings
                for note in finding.notes
            ),
        ),
    )
    return Page(
        title=f"{_TITLES[dossier.kind]} {dossier.request.id}",
        tool=" ".join(dossier.tool.values()),
        verdict=Verdict(
            outcome=dossier.verdict,
            sentence=conclude_dossier(dossier),
            explanation=tuple(_explain(dossier)),
        ),
        sections=tuple(section for section in sections if not section.is_empty),
    )


_FILES = (
    "Each file is named by its SHA-256, a fingerprint of its content that one changed bit changes. "
    "Where a document states the fingerprint too, it was compared."
)


def conclude_dossier(dossier: Dossier) -> str:
    """Say in one or two sentences whether the class is erased."""
    failed = [finding.source for finding in dossier.findings if finding.verdict == "failed"]
    if failed:
        return _FAILED.format(failed=", ".join(failed))
    if dossier.kind == "masking":
        return _MASKED.format(names=name_forgotten(dossier.labels, dossier.forget))
    if dossier.verdict == "not-judged":
        return _OPEN
    shown = dossier.findings[0].meaning
    return _ERASED.format(shown=shown[:1].upper() + shown[1:])


def _explain(dossier: Dossier) -> Iterator[str]:
    request = dossier.request
    received, completed = map(dt.date.fromisoformat, (request.received, request.completed))
    days = (completed - received).days
    due = f", due on {request.due}" if request.due else ""
    late = request.due is not None and completed > dt.date.fromisoformat(request.due)
    took = "the same day" if days == 0 else f"after {days} {'day' if days == 1 else 'days'}"
    names = name_forgotten(dossier.labels, dossier.forget)
    yield (
        f"Request {request.id} to forget {names} was received on {request.received} and completed "
        f"on {request.completed}, {took}{due}{': late' if late else ''}."
    )


def _tabulate_request(dossier: Dossier) -> Table:
    request = dossier.request
    facts = {
        "request": request.id,
        "basis": request.basis,
        "to forget": name_forgotten(dossier.labels, dossier.forget),
        "received": request.received,
        "due": request.due,
        "completed": request.completed,
    }
    return _tabulate("Request", {name: fact for name, fact in facts.items() if fact})


def _tabulate(title: str, facts: dict[str, str]) -> Table:
    rows = tuple(Row(cells=(name, str(fact))) for name, fact in facts.items())
    return Table(title=title, header=("what", "value"), rows=rows)


def _tabulate_findings(dossier: Dossier) -> Table:
    return Table(
        title="Reports",
        header=("report", "verdict", "what it says"),
        rows=tuple(
            Row(
                cells=(finding.source, VERDICTS[finding.verdict].lower(), finding.meaning),
                is_marked=finding.verdict != "passed",
            )
            for finding in dossier.findings
        ),
    )


def _tabulate_signers(dossier: Dossier) -> Table:
    return Table(
        title="Signed by",
        header=("name", "role", "date"),
        rows=tuple(Row(cells=(each.name, each.role, each.date)) for each in dossier.signers),
    )


def _name_key(dossier: Dossier) -> tuple[str, ...]:
    key = dossier.key_sha256
    if key is None:
        return ("No key signed this dossier, so nothing shows whether it was changed later.",)
    return (f"All files of this dossier are signed; SHA-256 of the public key: {key}.",)


def _tabulate_files(dossier: Dossier) -> Table:
    return Table(
        title="Files",
        header=("role", "file", "bytes", "SHA-256", "compared with"),
        rows=tuple(
            Row(
                cells=(
                    file.role,
                    file.name,
                    "not given" if file.size_bytes is None else f"{file.size_bytes:,}",
                    " ".join([file.sha256, *(f"{n}: {d}" for n, d in file.sidecars.items())]),
                    ", ".join(file.confirmed_by) or "nothing",
                ),
                is_marked=not file.confirmed_by,
            )
            for file in dossier.files
        ),
        figures=frozenset({2}),
    )


def _tabulate_checks(finding: Finding) -> Table:
    return Table(
        title=finding.source,
        header=(
            "what was checked",
            "verdict",
            "value",
            "limit",
            "at worst",
            "images",
            "95 % interval",
        ),
        rows=tuple(map(_describe_row, finding.checks)),
        figures=frozenset({2, 3, 4, 5, 6}),
    )


def _describe_row(check: Check) -> Row:
    case = describe_check(check)
    name, verdict = CHECKS.get(case.name, case.name), VERDICTS[case.verdict].lower()
    return Row(
        cells=(name, verdict, *case.cells, _name_range(check)), is_marked=case.verdict != "passed"
    )


def _name_range(check: Check) -> str:
    return " to ".join(map(format_number, check.evidence.interval)) if check.evidence else ""
