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

import pytest

from nhle_onnx.release.meaning import Report
from nhle_onnx.release.page.content.audit import describe_audit
from nhle_onnx.release.page.content.fleet import describe_fleet
from nhle_onnx.release.page.content.unlearning import describe_unlearning
from nhle_onnx.release.page.content.verification import describe_verification
from nhle_onnx.release.page.explanations import explain_figure
from nhle_onnx.release.page.figures import (
    format_of_measure,
    format_plain,
    format_points,
    format_share,
)
from nhle_onnx.release.page.render import render_page
from nhle_onnx.release.report import render_json
from nhle_onnx.text import name_forgotten
from nhle_onnx.values.audit import AuditReport, Measure
from nhle_onnx.values.report import (
    Accuracy,
    Check,
    UnlearnReport,
)
from support.detection_reports import DETECTED, DETECTION_RECORD, DETECTION_VERIFIED
from support.device_reports import DEVICE
from support.reports import (
    AUDIT,
    CHECKS,
    EDIT,
    EDITED,
    FLEET,
    HOSTILE,
    LABELS,
    MEASURES,
    ORIGINAL,
    OUTCOMES,
    PIXEL,
    TRAJECTORY,
    VERIFICATION,
    make_projection,
)
from support.runs import Nhle
from support.shipped import LENET

VOID = {"meta", "link", "br", "img", "input", "hr"}
MINUS = "\N{MINUS SIGN}"


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
        self.feed(page.replace("<wbr>", ""))  # where a line may break
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


def render_verification() -> str:
    return render_page(describe_verification(VERIFICATION))


PAGES = pytest.mark.parametrize("render", [render_audit, render_edit, render_verification])


@PAGES
def test_it_needs_nothing_from_outside(render: Callable[[], str]) -> None:
    page = render_once(render)
    assert not re.search(
        r"https?:|//\w|@import", re.sub(r"data:image/png;base64,[\w+/=]+", "", page)
    )
    for tag, attributes in Reader(page).elements:
        assert tag not in {
            "script",
            "image",
            "link",
            "iframe",
            "object",
            "a",
            "foreignobject",
        }
        assert not any(name.startswith("on") for name in attributes)
        assert not {"srcset", "xlink:href"} & attributes.keys()
        assert (attributes.get("src") or PIXEL) == PIXEL
        assert (attributes.get("href") or "#").startswith("#")


@PAGES
def test_every_picture_has_a_name_and_a_caption(render: Callable[[], str]) -> None:
    reader = Reader(render_once(render))
    pictures = reader.find("svg")
    assert len(pictures) == len(reader.find("figure")) == len(reader.find("figcaption"))
    assert len(pictures) == {render_audit: 7, render_edit: 4, render_verification: 3}[render]
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


def list_shares(value: object) -> set[str]:
    """Every fraction in a JSON document, as the page writes shares of some hundred images."""
    if isinstance(value, dict):
        return set().union(*map(list_shares, value.values()))
    if isinstance(value, list):
        return set().union(*map(list_shares, value))
    return {f"{100 * value:.1f} %"} if isinstance(value, float) else set()


def list_numbers(measure: dict[str, float | list[float] | None]) -> set[str]:
    low, high = measure["interval"] or (None, None)
    names = ("original", "edited", "reference", "position")
    figures = (*(measure[name] for name in names), low, high)
    return {f"{figure:.4f}" for figure in figures if figure is not None}


def test_figures_of_an_audit_are_those_of_the_json() -> None:
    document = json.loads(render_json(AUDIT))
    cells = set(Reader(render_once(render_audit)).cells)
    assert list_shares(document["accuracies"]) <= cells
    for measure in document["measures"]:
        assert {measure["name"], *list_numbers(measure)} <= cells
    assert {"73.5 %", "≤ 80.0 %", "probe.recall", "1.87", "21"} <= cells


def test_figures_of_an_edit_are_those_of_the_json() -> None:
    document = json.loads(render_json(EDIT))
    cells = set(Reader(render_once(render_edit)).cells)
    assert list_shares(document["before"]) | list_shares(document["after"]) <= cells
    assert {"1.2 %", "≤ 5.0 %", "graph_changes", "≤ 0", "4.36e-07"} <= cells
    assert document["edited"]["sha256"] in cells
    assert document["model"]["sidecars"].popitem()[1] in cells


@pytest.mark.parametrize(
    ("value", "images", "shown"),
    [
        (0.0, 14, "0 %"), (0.93, 14, "93 %"), (0.93, 200, "93.0 %"), (0.12345, 50_000, "12.35 %"),
        (None, 14, "-"), (1.0, None, "100.0 %"),
    ],
)  # fmt: skip
def test_a_share_has_the_digits_that_its_images_carry(
    value: float | None, images: int | None, shown: str
) -> None:
    assert format_share(value, images) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.0 points"), (-0.0351, f"{MINUS}3.5 points"), (0.0061, "+0.6 points")],
)
def test_a_difference_has_a_sign(value: float, shown: str) -> None:
    assert format_points(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.91267, "0.913"), (12345.6, "12,346"), (-2.5, f"{MINUS}2.5"), (3.0, "3")]
)
def test_other_figures_have_three_digits(value: float, shown: str) -> None:
    assert format_plain(value) == shown


def test_every_figure_of_an_attack_is_explained() -> None:
    assert all(explain_figure(measure.name) for measure in MEASURES)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("layers.head.recall_5", 0.905, "90.5 %"), ("perturbation.original_head", 0.0, "0.0 %"),
        ("revival.unmasked", 0.25, "25.0 %"), ("neighbours.acc_r", 0.9, "90.0 %"),
        ("traces.guessed", 1.0, "yes"), ("difference.named_by_patch", 0.0, "no"),
        ("outputs.guessed", 0.5, "0.5"), ("closeness.p_value", 0.004, "0.004"),
        ("layers.layer_3.cka", 0.87654, "0.877"),
    ],
)  # fmt: skip
def test_a_figure_of_an_attack_is_written_as_its_kind_has_it(
    name: str, value: float, shown: str
) -> None:
    assert explain_figure(name)
    assert format_of_measure(replace(MEASURES[0], name=name, cap=None), value) == shown


def test_images_are_shown_with_what_the_models_answer() -> None:
    text = read_text(render_once(render_edit))
    assert "1 of these 2 are still recognised; they come first" in text
    assert "3 Dress before: 3 Dress after: 0 T-shirt/top" in text
    assert "8 Bag before: 8 Bag after: 2" in text
    images = Reader(render_once(render_edit)).find("img")
    assert [image["alt"] for image in images] == [
        "Image 5 of 3 Dress", "Image 4 of 3 Dress", "Image 9 of 8 Bag"
    ]  # fmt: skip


def test_an_address_in_place_of_a_picture_is_not_loaded() -> None:
    shown = replace(OUTCOMES.mistakes[0], picture="https://example.org/spy.png")
    page = render_edit(replace(EDIT, outcomes=replace(OUTCOMES, mistakes=(shown,))))
    assert "example.org" not in page


def test_confusion_tells_the_most_frequent_mistakes() -> None:
    label = next(
        each["aria-label"] or ""
        for each in Reader(render_once(render_edit)).find("svg")
        if (each["aria-label"] or "").startswith("Which classes are taken for which")
    )
    assert "original: most often 0 T-shirt/top as 6" in label
    assert "edited: most often 3 Dress (forgotten) as 0 T-shirt/top (7)" in label


@pytest.mark.parametrize(
    "report", [AUDIT, EDIT, VERIFICATION, DEVICE, DETECTED, DETECTION_VERIFIED]
)
def test_a_notebook_shows_the_verdict_and_each_check(report: Report) -> None:
    shown = report._repr_html_()
    reader = Reader(shown)
    assert report.verdict.replace("-", " ").upper() in shown
    assert {check.name for check in report.checks} <= set(reader.cells)
    assert name_forgotten(report.labels, report.forget) in " ".join(reader.text)


def test_a_notebook_shows_the_figures_of_the_task() -> None:
    cells = Reader(DETECTED._repr_html_()).cells
    assert cells[:3] == ["", "AP_F, forgotten classes", "mAP_R, retained classes"]
    assert cells[3:9] == ["before", "0.7500", "0.5000", "after", "0.0000", "0.4375"]
    cells = Reader(EDIT._repr_html_()).cells
    assert cells[:3] == ["", "Acc_F, forgotten classes", "Acc_R, retained classes"]
    assert cells[3:9] == ["before", "0.9300", "0.9272", "after", "0.0000", "0.9294"]


def test_a_notebook_shows_hostile_labels_as_text() -> None:
    shown = replace(EDIT, forget=(1,))._repr_html_()
    assert HOSTILE not in shown
    assert HOSTILE in " ".join(Reader(shown).text)


def test_the_page_of_a_fleet_has_the_worst_job_first() -> None:
    page = render_page(describe_fleet(FLEET))
    cells = Reader(page).cells
    assert cells.index("broken") < cells.index("fine")
    text = read_text(page)
    assert "Failed: 1 of 2 jobs passed." in text
    assert "broken: no such file. Give another." in text
    found = replace(FLEET.jobs[0], record=DETECTION_RECORD)
    cells = Reader(render_page(describe_fleet(replace(FLEET, jobs=(found,))))).cells
    place = cells.index("passed")
    assert cells[place : place + 4] == ["passed", "AP 0", f"{MINUS}0.0625", "AP 0.125"]
    many = replace(FLEET, jobs=FLEET.jobs * 30)
    assert "The other 36 jobs" in read_text(render_page(describe_fleet(many)))


def test_verdict_of_an_audit_with_a_reference() -> None:
    text = read_text(render_once(render_audit))
    assert "Passed: no attack of this audit found more of 3 Dress" in text
    assert "between 0.86 and 1.09; the median is 0.95" in text
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


def test_with_shadows_the_page_says_what_these_can_and_cannot_tell() -> None:
    row = Measure(
        attack="shadows", name="shadows.recall_16", title="recall of a new head", original=0.9,
        edited=0.7, reference=None, shadows=(0.8, 0.6),
    )  # fmt: skip
    report = replace(AUDIT, reference=None, measures=(row,), curves={})
    text = read_text(render_page(describe_audit(report, None, ())))
    assert "70.0 % for the edited model, 60.0 % to 80.0 % for the shadows" in text
    assert "cannot be concluded whether a retrained model would" in text
    assert "cannot be concluded that the class is erased" not in text


def test_failed_checks_are_named() -> None:
    failing = Check(name="probe.recall", value=0.9, limit=0.8, better="lower")
    text = read_text(render_audit(replace(AUDIT, checks=(CHECKS[0], failing))))
    assert "Failed: 1 of 2 checks did not hold." in text
    assert "Recall of a new linear head: 90.0 %, where at most 80.0 % is asked for." in text
    assert "Passed:" not in text
    text = read_text(render_edit(replace(EDIT, checks=(replace(CHECKS[1], value=0.5),))))
    assert "Recognised when the original head is put back: 50.0 %, where at most 5.0 %" in text
    assert "the features still hold the class" in text


def test_a_position_is_named_and_has_no_percent() -> None:
    near = Check(name="probe.recall.position", value=0.25, limit=0.5, better="higher")
    text = read_text(render_audit(replace(AUDIT, checks=(CHECKS[0], near))))
    asked = "nearer to the retrained model (1) or to the original (0)?"
    assert f"Recall of a new linear head: {asked} 0.25, where at least 0.50 is asked for." in text


def test_layers_are_drawn_and_their_figures_folded() -> None:
    layers = tuple(
        replace(MEASURES[0], attack="layers", name=f"layers.{name}.recall_{shots}", title="recall")
        for name in ("layer_3", "layer_4", "head")
        for shots in (1, 5)
    )
    page = render_audit(replace(AUDIT, measures=(*MEASURES, *layers)))
    labels = [each["aria-label"] or "" for each in Reader(page).find("svg")]
    (layered,) = [label for label in labels if label.startswith("What new heads find")]
    assert "with 1, 5 images a class" in layered
    assert "layer 4, edited" in layered
    assert "What each layer still tells" in read_text(page).split("Provenance")[0]
    assert Reader(page).cells.count("as above") >= len(layers) - 1


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
    assert "even so, the class is no longer found" in text


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
    assert len(Reader(page).find("svg")) == 4
    bare = replace(AUDIT, accuracies={}, flows={}, curves={}, measures=(), notes=(), checks=())
    page = render_page(describe_audit(bare, None, ()))
    assert not Reader(page).find("svg")
    assert "none could run" in page


def test_a_thousand_classes_stay_readable() -> None:
    labels = tuple(f"class {index}" for index in range(1000))
    wide = Accuracy(acc_f=0.5, acc_r=0.5, per_class=(0.5,) * 1000)
    gone = replace(wide, per_class=(*wide.per_class[:700], 0.0, *wide.per_class[701:]))
    page = render_edit(
        replace(EDIT, labels=labels, forget=(700,), before=wide, after=gone, outcomes=None)
    )
    assert "976 more are left out here" in page
    assert "The 24 classes that changed most" in page
    assert page.index("<summary>The other 976 classes") > page.index(
        "700 class 700 (forgotten)</th>"
    )
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
    assert f"{100 * report['after']['acc_r']:.1f} %" in text
    assert report["outcomes"]["images"] == report["samples"]["eval"]
    assert text.count("before: 3 Dress after:") == 12
    assert ("Passed:" in text) == report["passed"]


@pytest.mark.parametrize("name", ["o.html", "missing/page.html", "model.html"])
def test_a_page_in_the_way_is_refused(name: str, tmp_path: Path, nhle: Nhle) -> None:
    model = Path(shutil.copy(LENET, tmp_path / "model.html"))
    before = model.read_bytes()
    arguments = ("unlearn", model, "--forget", 3, "--out", tmp_path / "o.html", "--force")
    assert nhle(*arguments, "--report", tmp_path / name).code == 3
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]
