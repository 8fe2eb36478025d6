"""Documents of fixed reports: pages, summaries, cards and a bill of materials."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pprint import pformat

from nhle_onnx.release.bom import render_bom
from nhle_onnx.release.dossier.page import describe_dossier
from nhle_onnx.release.formats.junit import render_junit
from nhle_onnx.release.formats.markdown import render_markdown
from nhle_onnx.release.formats.overview import make_overview
from nhle_onnx.release.formats.page import describe_overview
from nhle_onnx.release.meaning import Report
from nhle_onnx.release.page.elements import Page, Table
from nhle_onnx.release.push.card import render_card
from nhle_onnx.release.viewer.documents import Document
from nhle_onnx.release.viewer.documents import Report as Shown
from nhle_onnx.release.viewer.pages import describe_all
from nhle_onnx.text import escape_json
from nhle_onnx.values.fleet import FleetReport, JobResult
from nhle_onnx.values.report import SampleSummary
from nhle_onnx.values.verdict import Check, Evidence
from support.detection_reports import DETECTED, DETECTION_RECORD, DETECTION_VERIFIED
from support.device_reports import DEVICE, KIT
from support.dossiers import make_dossier, make_masking
from support.reports import AUDIT, EDIT, FLEET, HOSTILE, LABELS, RECORD, VERIFICATION

_JOB = JobResult(
    name="a", model="a.onnx", forget=("3", "4"), status="failed", exit_code=1, record=RECORD
)
INTERRUPTED = replace(
    FLEET,
    interrupted=True,
    counts={"not-judged": 1, "failed": 1},
    jobs=(_JOB, replace(_JOB, name="b", status="not-judged", exit_code=6, kept=True)),
)
REPORTS: Mapping[str, Report | FleetReport] = {
    "unlearn": EDIT,
    "unlearn of a detector": DETECTED,
    "verify": VERIFICATION,
    "verify of a detector": DETECTION_VERIFIED,
    "audit": AUDIT,
    "kit": KIT,
    "device": DEVICE,
    "fleet": FLEET,
    "an interrupted fleet": INTERRUPTED,
    "a fleet of detectors": replace(
        FLEET, jobs=(replace(_JOB, record=DETECTION_RECORD), FLEET.jobs[1])
    ),
    "a fleet of both": replace(FLEET, jobs=(*FLEET.jobs, replace(_JOB, record=DETECTION_RECORD))),
    "a fleet of nothing": replace(FLEET, jobs=(), counts={}),
}
# each verdict, with and without evidence, and texts that would be markup
MIXED = replace(
    VERIFICATION,
    labels=("cat", "<b>dog</b>", "3", "Dress"),
    notes=("a note", f'of {HOSTILE} by @team, _so_ to say: "1 * 2"'),
    elapsed_s={"load": 0.25, "measure": 61.5},
    checks=(
        Check(name="after.acc_f", value=0.25, limit=0.01, better="lower",
              evidence=Evidence(images=2000, interval=(0.1, 0.4), bound=0.4)),
        Check(name="delta_acc_r", value=0.9, limit=0.5, better="higher"),
        Check(name="agreement", value=0.5, limit=0.75, better="higher"),
        Check(name="a | b\x1b", value=None, limit=0.1, better="higher", gap="no | image\x1b\nleft"),
    ),
)  # fmt: skip
MASKED = replace(
    EDIT,
    method={"method": "cwm"},
    after=replace(EDIT.after, acc_r=None),
    samples=SampleSummary(
        forget=1, anchors=0, eval=0, source="s", anchor_source="", eval_source=""
    ),
    checks=(*MIXED.checks[-1:],),
    notes=(),
)


def write(value: object) -> str:
    """Write a value with its fields, safe to look at in a terminal."""
    return escape_json(pformat(value, width=100, sort_dicts=False)) + "\n"


def outline(page: Page) -> str:
    """Write all that a page without pictures says, as a text with a line for each row."""
    verdict = page.verdict
    said = (verdict.outcome, verdict.sentence, *verdict.explanation) if verdict else ()
    lines = [f"# {page.title}", f"by {page.tool}", *said]
    for section in page.sections:
        lines += ["", f"## {section.title}", *section.sentences]
        lines += [f"- {point}" for point in section.points]
        lines += [line for table in section.tables for line in _list_rows(table)]
    return escape_json("\n".join(lines)) + "\n"


def _list_rows(table: Table) -> Iterator[str]:
    assert table.figures <= {*range(len(table.header))}
    yield f"### {table.title}"
    yield " | ".join(
        f"{name} (figures)" if column in table.figures else name
        for column, name in enumerate(table.header)
    )
    for row in table.rows:
        link = f" -> {row.link}" if row.link else ""
        yield f"{'! ' if row.is_marked else ''}{' | '.join(row.cells)}{link}"


def _view() -> str:
    documents = [Document(name=f"{name}.json", report=it) for name, it in REPORTS.items()  # type: ignore[arg-type]
                 if it not in (KIT, DEVICE)]  # fmt: skip
    again: dict[str, Shown] = {
        "an audit without images": replace(AUDIT, measures=AUDIT.measures[1:3], accuracies={}),
        "an audit of one model": replace(AUDIT, measures=(), accuracies={"edited": EDIT.after}),
        "verify without a baseline": replace(VERIFICATION, before=None, labels=("a", *LABELS[1:])),
        "verify without other images": replace(
            VERIFICATION, before=replace(EDIT.before, acc_r=None)
        ),
        "verify without retained images": replace(
            VERIFICATION, after=replace(EDIT.after, acc_r=None)
        ),
    }
    more = [Document(name=f"{name}.json", report=report) for name, report in again.items()]
    return outline(describe_all([*documents, *more]))


DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "overviews.txt": lambda: "\n".join(write(make_overview(each)) for each in REPORTS.values()),
    "report.md": lambda: render_markdown(make_overview(MIXED)),
    "report.xml": lambda: render_junit(make_overview(MIXED)),
    "nothing.txt": lambda: outline(
        describe_overview(make_overview(REPORTS["a fleet of nothing"]), "nhle-onnx 1")
    ),
    "report.txt": lambda: outline(describe_overview(make_overview(MIXED), "nhle-onnx 1")),
    "viewer.txt": _view,
    "dossier.txt": lambda: outline(describe_dossier(make_dossier())),
    "masking.txt": lambda: outline(describe_dossier(make_masking())),
    "card.md": lambda: render_card(EDIT),
    "masked.card.md": lambda: render_card(MASKED),
    "detector.card.md": lambda: render_card(DETECTED),
    "detector.bom.json": lambda: escape_json(render_bom(DETECTED)),
}
