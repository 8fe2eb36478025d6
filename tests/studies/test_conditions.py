"""The conditions: what is drawn, how classes are told apart, and what the page says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from nhle_onnx.values.report import Accuracy
from studies import results
from studies.conditions import command
from studies.conditions.divided import divide
from studies.conditions.page import KEY, describe
from studies.conditions.run import APART, Places, compare_classes, name_case, take_first
from studies.conditions.table import CONDITIONS, DIVIDED, SHIPPED, Case, list_cases
from studies.datasets import Split
from studies.strangers.run import Draw, Pool, Subject, draw_samples, write_samples
from studies.strangers.table import STRANGERS
from studies.tables import WIDEST, Row, get_key

POOL = Pool(np.arange(2000, dtype=np.float32)[:, None], np.arange(2000) % 10)


def test_only_networks_of_the_development_half_are_measured() -> None:
    development = {stranger.name for stranger in STRANGERS if stranger.half == "development"}
    cases = [case for condition in CONDITIONS for case in list_cases(condition, 2)]
    assert {case.network for case in cases} <= development | {*SHIPPED, DIVIDED}
    names = [
        get_key(name_case(condition, case), KEY)
        for condition in CONDITIONS
        for case in list_cases(condition, 2)
    ]
    assert len(set(names)) == len(names)


def test_samples_are_as_many_as_asked_of_each_class() -> None:
    drawn = draw_samples(POOL, Draw((2, 5), 0, samples=3, anchors=20, shown=(1, 4)))
    assert drawn.labels[:6].tolist() == [2] * 3 + [5] * 3
    assert len(drawn.labels) == 26
    assert {*drawn.labels[6:].tolist()} == {1, 4}


def test_other_pictures_serve_as_anchors_whatever_they_show(tmp_path: Path) -> None:
    others = Pool(-POOL.inputs, np.zeros(2000, np.int64))
    subject = Subject(tmp_path, POOL, tmp_path, others)
    given = write_samples(subject, Draw((0,), 0, samples=4, anchors=8), tmp_path)
    with np.load(given["samples"]) as samples, np.load(given["anchors"]) as anchors:
        assert samples["y"].tolist() == [0] * 4
        assert (anchors["x"] <= 0).all()
        assert anchors["y"].tolist() == [1] * 8


def test_classes_without_anchors_are_measured_apart(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(4), (5, 10, 30, 10))
    np.savez(tmp_path / "test.npz", x=labels, y=labels)
    pool = Pool(np.arange(40, dtype=np.float32)[:, None], np.arange(40) % 4)
    case = Case("", "", Draw((0,), 0, samples=2, anchors=4, shown=(1,)))
    report: Any = SimpleNamespace(
        labels="abcd",
        before=Accuracy(acc_f=1.0, acc_r=1.0, per_class=(1.0, 0.5, 0.8, 0.4)),
        after=Accuracy(acc_f=0.0, acc_r=1.0, per_class=(0.0, 0.6, 0.6, 0.4)),
    )
    found = compare_classes(case, Subject(tmp_path, pool, tmp_path / "test.npz"), report)
    assert found == {APART[0]: pytest.approx(0.1), APART[1]: pytest.approx(-0.15), APART[2]: 2}
    odd = compare_classes(
        case._replace(others="mnist"), Subject(tmp_path, pool, tmp_path / "test.npz"), report
    )
    assert odd[APART[0]] is None
    assert odd[APART[2]] == 3


def test_pool_has_the_first_of_each_class() -> None:
    labels = np.repeat(np.arange(3), 250)
    taken = take_first(Split(np.arange(750)[:, None, None, None].astype(np.uint8), labels))
    assert np.bincount(taken.labels).tolist() == [200] * 3


def test_every_other_image_of_a_class_gets_its_second_name() -> None:
    labels = np.array([1, 0, 1, 1, 2, 1])
    found = divide(Split(np.zeros((6, 1, 1, 1), np.uint8), labels))
    assert found.labels.tolist() == [1, 0, 10, 1, 2, 10]
    assert labels.tolist() == [1, 0, 1, 1, 2, 1]


FIGURES: Row = {
    "Acc_F before": 1.0, "Acc_F": 0.0, "unmasked": 0.0, "Acc_R before": 0.9, "ΔAcc_R": 0.0,
    "steps": 100, "stop": "settled", "verdict": "PASSED", "CPU s": 1.0, **dict.fromkeys(APART),
}  # fmt: skip


def make_row(case: Case, **figures: object) -> Row:
    return name_case("samples", case) | FIGURES | figures


def test_page_shows_each_miss_and_what_is_left_to_measure() -> None:
    first, second, *others = list_cases("samples", 1)
    rows = [make_row(first, unmasked=0.03), make_row(second)]
    text = describe(rows, 1)
    assert "| 1 sample | 2 | 50 % | 2 | 1 | 0.0300 |" in text
    assert "1 of 2 cells keep the limits. The others:" in text
    assert f"short: {others[0].setting} ({others[0].network}, tutorial," in text
    assert text.count("Not measured") == len(CONDITIONS)
    assert all(line.count("|") <= WIDEST + 1 for line in text.splitlines())
    refused = [make_row(first, unmasked=None, ΔAcc_R=None, verdict="refused")]
    assert "| 1 sample | 1 | 0 % | 0 | 0 | - | - | - | - |" in describe(refused, 1)


def test_classes_without_anchors_have_a_table_of_their_own() -> None:
    figures: Row = dict(zip(APART, (0.01, -0.2, 4), strict=True))
    text = describe([make_row(list_cases("samples", 1)[0], **figures)], 1)
    assert "| 1 sample | 1 | 4 | 0.0100 | -0.2000 | -0.2000 |" in text


def test_rows_measured_before_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Case] = []

    def measure(case: Case, _places: Places) -> Row:
        measured.append(case)
        return FIGURES

    monkeypatch.setattr(results, "RESULTS", tmp_path / "published")
    monkeypatch.setattr(results, "UNFINISHED", tmp_path / "unfinished")
    monkeypatch.setattr(command, "measure_case", measure)
    arguments = ["--condition", "twins", "--cache", str(tmp_path)]
    for more in (["--network", DIVIDED], [], []):
        found = CliRunner().invoke(command.conditions, [*arguments, *more])
        assert found.exit_code == 0, found.output
    *others, last = list_cases("twins", 1)
    assert measured == [last, *others]
    assert len(results.read_rows("conditions")) == len(measured)
