"""The report as a page: what a reader finds on it, and what it must not do to them."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nhle_onnx.release.page.content import describe_audit, describe_unlearning
from nhle_onnx.release.page.render import render_page
from nhle_onnx.release.report import render_json
from nhle_onnx.values.audit import (
    AuditReport,
    AuditSamples,
    Measure,
    Projection,
    Skipped,
)
from nhle_onnx.values.model import ClassifierHead
from nhle_onnx.values.preprocess import Preprocess
from nhle_onnx.values.report import (
    Accuracy,
    Check,
    SampleSummary,
    TrainingStep,
    UnlearnReport,
    Unmasked,
)
from nhle_onnx.values.summary import FileSummary, ModelSummary
from support.runs import Nhle
from support.shipped import LENET

HOSTILE = "<script>alert(1)</script>"
LABELS = (
    "T-shirt/top", HOSTILE, "_$\\bad{$", "Dress", '"><img src=x onerror=alert(2)>',
    "esc\x1b[31m\u202e", "裙 &amp; 'quoted'", "a very long label " * 9, "Bag", "#010203 url(#x)",
)  # fmt: skip
ORIGINAL = Accuracy(
    acc_f=0.93,
    acc_r=0.9272,
    per_class=(0.865, 0.99, 0.895, 0.93, 0.89, 0.985, 0.795, 0.995, 0.98, None),
)
EDITED = Accuracy(
    acc_f=0.0,
    acc_r=0.92944,
    per_class=(0.885, 0.995, 0.885, 0.0, 0.91, 0.975, 0.795, 0.99, 0.975, None),
)
RETRAINED = Accuracy(
    acc_f=0.0,
    acc_r=0.9311,
    per_class=(0.895, 0.985, 0.88, 0.0, 0.92, 0.98, 0.8, 0.985, 0.97, None),
)
CHECKS = (
    Check(name="after.acc_f", value=0.0, limit=0.01, better="lower"),
    Check(name="unmasked.acc_f", value=0.01234, limit=0.05, better="lower"),
    Check(name="graph_changes", value=0, limit=0, better="lower"),
)
TRAJECTORY = tuple(
    TrainingStep(
        step=step,
        forget_loss=3.3 * 0.95**step,
        retain_loss=0.2 + 0.5 * 0.97**step,
        alignment_loss=1.5 * 0.96**step,
        forget_margin=2.3 - 0.05 * step,
    )
    for step in range(1, 98)
)
PREPROCESS = Preprocess(source="preprocessor_config.json", size=(28, 28), mean=(0.286,))
ENVIRONMENT = {"python": "3.11.7", "onnx": "1.23.2"}
TOOL = {"name": "nhle-onnx", "version": "0.1.0"}
VOID = {"meta", "link", "br", "img", "input", "hr"}


def make_file(name: str) -> FileSummary:
    return FileSummary(path=name, sha256=name[0] * 64, size_bytes=6285527, sidecars={})


MEASURES = (
    Measure(
        attack="unmasking", name="unmasking.rebuilt_row",
        title="Acc_F with rows rebuilt from 16 samples",
        original=0.8935, edited=0.6123, reference=0.5987, position=0.9539,
    ),
    Measure(
        attack="separability", name="separability.ratio", title="separability, D_inter / D_intra",
        original=1.8712, edited=0.9121, reference=0.8734, position=0.96121,
    ),
    Measure(
        attack="probe", name="probe.recall", title="recall of a new linear head",
        original=0.91, edited=0.7351, reference=0.75, interval=(0.6812, 0.7877), position=1.0931,
    ),
    Measure(
        attack="membership", name="membership.entropy.balanced_accuracy",
        title="members told from others (balanced accuracy), from entropy",
        original=0.5344, edited=0.5012, reference=0.4987, interval=(0.4623, 0.5391),
        position=0.93,
    ),
    Measure(
        attack="relearning", name="relearning.steps",
        title="steps until 95% of the original Acc_F is back (at most 100)",
        original=3.0, edited=21.0, reference=24.0, position=0.8571,
    ),
    Measure(
        attack="quantization", name="quantization.int8.acc_f",
        title="Acc_F, weights rounded to 8 bits", original=None, edited=0.00451, reference=None,
    ),
)  # fmt: skip


def spread(*, peak: int) -> tuple[float, ...]:
    shares = np.full(len(LABELS), 0.3 / (len(LABELS) - 1))
    shares[peak] = 0.7
    return tuple(float(share) for share in shares)


def make_audit() -> AuditReport:
    return AuditReport(
        tool=TOOL,
        environment=ENVIRONMENT,
        command="nhle-onnx audit model.unlearned.onnx --baseline 'model\x1b.onnx'",
        seed=7,
        model=make_file("edited\x1b[2J.onnx"),
        baseline=make_file("model.onnx"),
        reference=make_file("retrained.onnx"),
        labels=LABELS,
        forget=(3,),
        samples=AuditSamples(attack=160, judge=2000, members=128, source="samples/"),
        preprocess=PREPROCESS,
        provider="CPUExecutionProvider",
        device="cpu",
        accuracies={"original": ORIGINAL, "edited": EDITED, "reference": RETRAINED},
        flows={"original": spread(peak=3), "edited": spread(peak=1), "reference": spread(peak=0)},
        curves={
            "original": (0.0, 0.7, 0.9, 0.92),
            "edited": tuple(0.9 * (1 - 0.9**step) for step in range(25)),
            "reference": tuple(0.9 * (1 - 0.88**step) for step in range(25)),
        },
        measures=MEASURES,
        skipped=(Skipped(attack="quantization", reason="no image of a retained class was given"),),
        elapsed_s={"probe": 1.5},
        notes=(f"a note of {HOSTILE}",),
        checks=(*CHECKS[:1], Check(name="probe.recall", value=0.7351, limit=0.8, better="lower")),
    )


def make_projection() -> Projection:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, len(LABELS), 300)
    centres = rng.normal(size=(len(LABELS), 2)) * 4
    points = {
        role: centres[np.where(classes == 3, moved, classes)] + rng.normal(size=(300, 2))
        for role, moved in (("original", 3), ("edited", 1), ("reference", 0))
    }
    return Projection(classes=classes, points=points)


def make_edit() -> UnlearnReport:
    head = ClassifierHead(
        op="Gemm", node="/head", weight="w", bias="b", bias_scale=1.0, class_axis=0,
        num_classes=10, feature_dim=84, features="f", logits="l", scores="l", is_clamped=False,
        output="l",
    )  # fmt: skip
    model = ModelSummary(
        path=f"{HOSTILE}.onnx", sha256="a" * 64, size_bytes=177000,
        sidecars={"w\x07.bin": "c" * 64}, opset=17, head=head, format="float32",
    )  # fmt: skip
    return UnlearnReport(
        tool=TOOL,
        environment=ENVIRONMENT,
        command="nhle-onnx unlearn model.onnx --forget 3",
        seed=7,
        model=model,
        edited=make_file("edited.onnx"),
        labels=LABELS,
        forget=(3,),
        samples=SampleSummary(
            forget=16, anchors=144, eval=2000, source="s", anchor_source="s", eval_source="e"
        ),
        preprocess=PREPROCESS,
        method={"method": "nhle-cwm", "lr": "auto", "parity_with_onnxruntime": 4.36e-07},
        provider="CPUExecutionProvider",
        device="cpu",
        before=ORIGINAL,
        after=EDITED,
        unmasked=Unmasked(acc_f=0.01234),
        delta_acc_r=0.0022,
        changed_tensors=("conv.weight",),
        added_tensors=(),
        trajectory=TRAJECTORY,
        elapsed_s={"load": 0.05},
        notes=("a note",),
        checks=CHECKS,
    )


AUDIT, EDIT = make_audit(), make_edit()


def render_audit(report: AuditReport = AUDIT) -> str:
    return render_page(describe_audit(report, make_projection(), TRAJECTORY))


def render_edit(report: UnlearnReport = EDIT) -> str:
    return render_page(describe_unlearning(report))


@cache
def render_once(render: Callable[[], str]) -> str:
    return render()


class Reader(HTMLParser):
    """Collects what the tests ask about; a page that does not nest is an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.cells: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"td", "th"}:
            self.cells.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text.append(data)
        if self._open and self._open[-1] in {"td", "th"}:
            self.cells[-1] += data

    def find(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read_text(page: str) -> str:
    return " ".join(" ".join(Reader(page).text).split())


PAGES = pytest.mark.parametrize("render", [render_audit, render_edit])


@PAGES
def test_it_needs_nothing_from_outside(render: Callable[[], str]) -> None:
    page = render_once(render)
    assert not re.search(r"https?:|//\w|@import|data:", page)
    for tag, attributes in Reader(page).elements:
        assert tag not in {
            "script",
            "img",
            "image",
            "link",
            "iframe",
            "object",
            "a",
            "foreignobject",
        }
        assert not any(name.startswith("on") for name in attributes)
        assert not {"src", "srcset", "xlink:href"} & attributes.keys()
        assert (attributes.get("href") or "#").startswith("#")


@PAGES
def test_every_picture_has_a_name_and_a_caption(render: Callable[[], str]) -> None:
    reader = Reader(render_once(render))
    pictures = reader.find("svg")
    assert len(pictures) == len(reader.find("figure")) == len(reader.find("figcaption"))
    assert len(pictures) == {render_audit: 7, render_edit: 2}[render]
    for picture in pictures:
        assert picture["role"] == "img"
        assert len(picture["aria-label"] or "") > 40
        assert "viewbox" in picture


@PAGES
def test_ids_are_unique_and_references_lead_somewhere(render: Callable[[], str]) -> None:
    page = render_once(render)
    ids = [attributes["id"] for _, attributes in Reader(page).elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 10
    referred = {
        target
        for _, attributes in Reader(page).elements
        for name, value in attributes.items()
        if name not in {"aria-label", "id"}
        for target in re.findall(r"(?:^|url\()#([\w-]+)", value or "")
        if name == "href" or "url(" in (value or "")
    }
    assert referred
    assert referred <= set(ids)


@PAGES
def test_pictures_take_the_colour_of_the_page(render: Callable[[], str]) -> None:
    styles = " ".join(
        attributes.get("style") or "" for _, attributes in Reader(render_once(render)).elements
    )
    assert "currentColor" in styles
    assert "#010203" not in styles
    assert "fill: #ffffff" not in styles


@PAGES
def test_same_report_same_bytes(render: Callable[[], str]) -> None:
    assert render() == render_once(render)


@PAGES
def test_hostile_labels_are_only_text(render: Callable[[], str]) -> None:
    page = render_once(render)
    text = read_text(page)
    assert HOSTILE not in page
    assert HOSTILE in text
    assert '"><img src=x onerror=alert(2)>' in text
    assert "_$\\bad{$" in text
    assert "#010203 url(#x)" in text
    assert not [mark for mark in page if not mark.isprintable() and mark != "\n"]


@PAGES
def test_a_page_reads_well_everywhere(render: Callable[[], str]) -> None:
    page = render_once(render)
    reader = Reader(page)
    assert any(found.get("name") == "viewport" for found in reader.find("meta"))
    assert "@media print" in page
    assert "prefers-color-scheme: dark" in page
    levels = [int(tag[1]) for tag, _ in reader.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all("scope" in found for found in reader.find("th"))


def list_figures(value: object) -> set[str]:
    """Every fraction in a JSON document, as the page writes it."""
    if isinstance(value, dict):
        return set().union(*map(list_figures, value.values()))
    if isinstance(value, list):
        return set().union(*map(list_figures, value))
    return {f"{value:.4f}"} if isinstance(value, float) else set()


def test_figures_of_an_audit_are_those_of_the_json() -> None:
    document = json.loads(render_json(AUDIT))
    cells = " ".join(Reader(render_once(render_audit)).cells).replace("[", " ").replace("]", " ")
    shown = set(cells.replace(",", " ").split())
    for key in ("accuracies", "measures"):
        assert list_figures(document[key]) <= shown
    for check in document["checks"]:
        assert {check["name"], f"{check['value']:.4f}", f"{check['limit']:.4f}"} <= shown


def test_figures_of_an_edit_are_those_of_the_json() -> None:
    document = json.loads(render_json(EDIT))
    cells = set(Reader(render_once(render_edit)).cells)
    assert list_figures(document["before"]) | list_figures(document["after"]) <= cells
    assert {"0.0123", "≤ 0.0500", "graph_changes", "≤ 0", "4.36e-07"} <= cells
    assert document["edited"]["sha256"] in cells
    assert document["model"]["sidecars"].popitem()[1] in cells


def test_verdict_of_an_audit_with_a_reference() -> None:
    text = read_text(render_once(render_audit))
    assert "Passed: no attack of this audit found more of 3 Dress" in text
    assert "between 0.8571 and 1.0931; the median is 0.9539" in text
    assert "cannot be concluded" not in text


def test_without_a_reference_the_page_says_what_cannot_be_concluded() -> None:
    measures = tuple(replace(each, reference=None, position=None) for each in MEASURES)
    report = replace(
        AUDIT,
        reference=None,
        measures=measures,
        accuracies={"original": ORIGINAL, "edited": EDITED},
        flows={role: AUDIT.flows[role] for role in ("original", "edited")},
        curves={},
    )
    page = render_page(describe_audit(report, None, ()))
    text = read_text(page)
    assert "No retrained model was given" in text
    assert "cannot be concluded that the class is erased" in text
    assert len(Reader(page).find("svg")) == 3


def test_failed_checks_are_named() -> None:
    failing = Check(name="probe.recall", value=0.9, limit=0.8, better="lower")
    text = read_text(render_audit(replace(AUDIT, checks=(CHECKS[0], failing))))
    assert "Failed: 1 of 2 checks did not hold (probe.recall)" in text
    assert "Passed:" not in text
    text = read_text(render_edit(replace(EDIT, checks=(replace(CHECKS[1], value=0.5),))))
    assert "Failed: 1 of 1 checks did not hold (unmasked.acc_f)" in text
    assert "the features still hold the class" in text


def test_nothing_judged_is_not_passed() -> None:
    text = read_text(render_audit(replace(AUDIT, checks=())))
    assert "Not judged" in text
    assert "Passed:" not in text


def test_attacks_that_could_not_run_are_never_left_out() -> None:
    text = read_text(render_once(render_audit))
    assert "quantization: no image of a retained class was given" in text
    assert "Attacks that could not run: 1." in text
    assert "Every attack ran." in read_text(render_audit(replace(AUDIT, skipped=())))


def test_page_of_an_edit_points_to_the_audit() -> None:
    text = read_text(render_once(render_edit))
    assert "shows what unlearn measured" in text
    assert "nhle-onnx audit attacks the model further" in text
    assert "even with it, the class is no longer found" in text


def test_provenance_is_complete() -> None:
    text = read_text(render_once(render_audit))
    for file in (AUDIT.model, AUDIT.baseline, AUDIT.reference):
        assert file is not None
        assert file.sha256 in text
    for fact in ("CPUExecutionProvider", "preprocessor_config.json", "1.23.2", "0.1.0", "samples/"):
        assert fact in text


def test_little_measured_still_makes_a_page() -> None:
    nothing = Accuracy(acc_f=None, acc_r=None, per_class=(None,) * len(LABELS))
    page = render_edit(
        replace(EDIT, before=nothing, after=nothing, trajectory=TRAJECTORY[:1], preprocess=None)
    )
    assert len(Reader(page).find("svg")) == 2
    bare = replace(AUDIT, accuracies={}, flows={}, curves={}, measures=(), notes=(), checks=())
    page = render_page(describe_audit(bare, None, ()))
    assert not Reader(page).find("svg")
    assert "none could run" in page


def test_a_thousand_classes_stay_readable() -> None:
    labels = tuple(f"class {index}" for index in range(1000))
    wide = Accuracy(acc_f=0.5, acc_r=0.5, per_class=(0.5,) * 1000)
    gone = replace(wide, per_class=(*wide.per_class[:700], 0.0, *wide.per_class[701:]))
    page = render_edit(replace(EDIT, labels=labels, forget=(700,), before=wide, after=gone))
    assert "976 more are left out here" in page
    assert page.count("700 class 700 (forgotten)") >= 2  # in the picture and in the table
    assert len(Reader(page).find("tr")) > 1000


@PAGES
def test_a_browser_has_nothing_to_say(render: Callable[[], str], tmp_path: Path) -> None:
    browser = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if browser is None:
        pytest.skip("Chromium is not installed")
    page = tmp_path / "page.html"
    page.write_text(render_once(render), "utf-8")
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            "--v=0", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    assert "</html>" in done.stdout
    assert "<script" not in done.stdout


def test_unlearn_writes_the_page(tmp_path: Path, nhle: Nhle) -> None:
    out, page = tmp_path / "o.onnx", tmp_path / "page.html"
    result = nhle("unlearn", LENET, "--forget", 3, "--out", out, "--report", page, "--steps", 5)
    assert result.code in {0, 1}
    assert f"page     {page}" in result.out
    report = json.loads(out.with_suffix(".report.json").read_text("utf-8"))
    text = read_text(page.read_text("utf-8"))
    assert report["edited"]["sha256"] in text
    assert f"{report['after']['acc_r']:.4f}" in text
    assert ("Passed:" in text) == report["passed"]


@pytest.mark.parametrize("name", ["o.html", "missing/page.html", "model.html"])
def test_a_page_in_the_way_is_refused(name: str, tmp_path: Path, nhle: Nhle) -> None:
    model = Path(shutil.copy(LENET, tmp_path / "model.html"))
    before = model.read_bytes()
    arguments = ("unlearn", model, "--forget", 3, "--out", tmp_path / "o.html", "--force")
    assert nhle(*arguments, "--report", tmp_path / name).code == 3
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]
