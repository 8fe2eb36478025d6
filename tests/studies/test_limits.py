"""The study of limits: every cell is judged, and a miss is shown, not averaged away."""

from pathlib import Path

import pytest

from studies import results
from studies.limits import list_cells
from studies.limits_page import ALONE, WITH_ANCHORS, describe, publish, publish_picture
from studies.tables import Row


def make_row(data: str, forget: str, **figures: float) -> Row:
    row = {"dataset": "mnist", "network": "mlp", "forget": forget, "data": data, "seed": 0}
    good = {"Acc_F before": 1.0, "Acc_F": 0.0, "unmasked": 0.0, "Acc_R before": 0.9, "ΔAcc_R": 0.0}
    return {**row, **good, "steps": 100, "s": 1.0, **figures}


def test_every_class_and_the_pair_are_measured_before_a_second_draw_begins() -> None:
    first = list_cells(3)[: len(list_cells(1))]
    assert {cell.forgotten for cell in first} == {*((index,) for index in range(10)), (0, 4)}
    assert {cell.seed for cell in first} == {0}
    assert {cell.data for cell in first} == {WITH_ANCHORS, ALONE}


@pytest.mark.parametrize(
    "figures", [{"Acc_F": 0.006}, {"unmasked": 0.011}, {"ΔAcc_R": -0.011}], ids=str
)
def test_one_bad_cell_is_named(figures: dict[str, float]) -> None:
    rows = [make_row(WITH_ANCHORS, str(index)) for index in range(9)]
    assert "9 of 9 cells keep every limit" in describe(rows)
    text = describe([*rows, make_row(WITH_ANCHORS, "0,4", **figures)])
    assert "9 of 10 cells keep every limit" in text
    assert "| NO |" in text
    assert "0,4" in text


def test_page_shows_the_picture_beside_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    rows = [make_row(data, "3") for data in (WITH_ANCHORS, ALONE)]
    publish(rows)
    publish_picture(rows)
    assert "](limits.svg)" in (tmp_path / "limits.md").read_text("utf-8")
    assert b"unmasked" in (tmp_path / "limits.svg").read_bytes()
    assert results.read_rows("limits") == rows
