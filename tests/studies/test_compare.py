"""The comparison: rows that can be resumed, an honest verdict, a reproducible picture."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from studies import results
from studies.__main__ import main
from studies.baselines.table import Group
from studies.compare import Case
from studies.compare_page import find_dominating, find_undecided, publish
from studies.plots import Place, draw_scatter
from studies.tables import Row
from support.idx import write_idx_split
from support.shipped import EVALUATION

pytestmark = pytest.mark.usefixtures("one_thread")

METHODS = ("original", "retrained", "nhle-onnx", "CWM only", "SSD")


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 2,000 shipped evaluation images in the official file format, half of them to test."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "fashion_mnist"
    folder.mkdir()
    with np.load(EVALUATION) as arrays:
        for name, part in (("train", slice(0, None, 2)), ("t10k", slice(1, None, 2))):
            write_idx_split(folder, name, arrays["x"][part], arrays["y"][part])
    return root


def run_compare(data_root: Path, *options: str) -> str:
    methods = [option for name in METHODS for option in ("--method", name)]
    arguments = ["compare", "--data-root", str(data_root), "--cache", str(data_root / "cache")]
    arguments += ["--dataset", "fashion_mnist", "--network", "mlp", "--forget", "8"]
    result = CliRunner().invoke(main, [*arguments, *methods, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_command_writes_rows_a_page_and_a_picture_and_resumes(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(results, "UNFINISHED", tmp_path / "unfinished")
    run_compare(data_root)
    rows = results.read_rows("compare")
    found = {(row["data"], row["method"]): row for row in rows}
    assert set(found) == {
        ("reference", "original"),
        ("reference", "retrained"),
        (Group.FORGET, "nhle-onnx"),
        (Group.ANCHORS, "nhle-onnx"),
        (Group.FORGET, "CWM only"),
        (Group.ANCHORS, "SSD"),
        (Group.RETAINED, "SSD"),
    }
    original, retrained = found["reference", "original"], found["reference", "retrained"]
    assert original["Acc_F"] == original["unmasked"] > 0.8
    assert retrained["Acc_F"] == 0
    assert retrained["unmasked"] is None
    masked = found[Group.FORGET, "CWM only"]
    assert masked["Acc_F"] == 0
    assert masked["unmasked"] == original["Acc_F"]
    assert found[Group.ANCHORS, "nhle-onnx"]["unmasked"] < 0.1
    page = (tmp_path / "compare.md").read_text("utf-8")
    assert "compare.svg" in page
    assert (tmp_path / "compare.svg").is_file()

    def refuse(*_: object) -> None:
        pytest.fail("measured again")

    monkeypatch.setattr("studies.compare.measure_case", refuse)
    run_compare(data_root)
    assert len(results.read_rows("compare")) == len(rows)
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        run_compare(data_root, "--fresh")
    other = {**rows[0], "forget": "7"}
    publish([*rows, other])

    def measure(_classifier: object, case: Case, _cache: Path) -> Row:
        return {**rows[0], "data": case.data, "method": case.method, "setting": "again"}

    monkeypatch.setattr("studies.compare.measure_case", measure)
    run_compare(data_root, "--fresh")
    again = [row for row in results.read_rows("compare") if row["setting"] == "again"]
    assert results.read_rows("compare") == [other, *again]
    assert len(again) == len(rows)


def test_unreadable_class_is_refused(data_root: Path) -> None:
    arguments = ["compare", "--data-root", str(data_root), "--forget", "boot"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "boot" in result.output


def make_row(data: str, method: str, unmasked: float, acc_r: float, seed: int = 0) -> Row:
    return {
        "dataset": "mnist",
        "network": "mlp",
        "data": data,
        "method": method,
        "forget": "0",
        "seed": seed,
        "unmasked": unmasked,
        "Acc_R": acc_r,
    }


def test_peer_with_more_data_or_a_worse_measure_does_not_dominate() -> None:
    rows = [
        make_row(Group.FORGET, "nhle-onnx", 0.0, 0.90),
        make_row(Group.ANCHORS, "nhle-onnx", 0.0, 0.95),
        make_row(Group.FORGET, "DELETE", 0.1, 0.99),
        make_row(Group.FORGET, "NegGrad", 0.0, 0.92),
        make_row(Group.FORGET, "y(B)", 0.0, 0.90),
        make_row(Group.ANCHORS, "DAMP", 0.0, 0.96),
        make_row("reference", "original", 0.0, 1.0),
    ]
    assert find_dominating(rows, Group.FORGET) == [(Group.FORGET, "NegGrad")]
    assert find_dominating(rows, Group.ANCHORS) == [(Group.ANCHORS, "DAMP")]
    assert find_dominating(rows, Group.RETAINED) == [(Group.ANCHORS, "DAMP")]


def test_domination_is_judged_on_the_draws_that_both_have() -> None:
    rows = [
        make_row(Group.FORGET, "nhle-onnx", 0.0, 0.90, seed=0),
        make_row(Group.FORGET, "nhle-onnx", 0.0, 0.99, seed=1),
        make_row(Group.FORGET, "DELETE", 0.0, 0.91, seed=0),
    ]
    assert find_dominating(rows, Group.FORGET) == [(Group.FORGET, "DELETE")]
    rows.append(make_row(Group.FORGET, "DELETE", 0.0, 0.91, seed=1))
    assert find_dominating(rows, Group.FORGET) == []


def make_limits(unmasked: float, acc_r: float) -> list[Row]:
    """Our cells with anchors."""
    return [
        {
            "data": "forget samples and anchors",
            "forget": str(forget),
            "seed": seed,
            "unmasked": unmasked,
            "Acc_R before": acc_r + 0.01,
            "ΔAcc_R": -0.01,
        }
        for forget in range(10)
        for seed in range(3)
    ]


@pytest.mark.parametrize(
    ("unmasked", "acc_r", "count", "is_open"),
    [
        (0.0, 0.95, 1, True),  # it may do as well as that, or better, everywhere
        (0.0, 0.95, 30, True),
        (0.0, 0.93, 30, False),
        (0.04, 1.0, 1, False),  # a thirtieth of it is more than we leave on average
        (0.02, 1.0, 1, True),
        (0.02, 1.0, 2, False),
        (0.0, 0.1, 1, True),
        (0.0, 0.1, 2, False),
    ],
)
def test_a_peer_is_ruled_out_by_what_no_other_cell_can_make_good(
    unmasked: float,
    acc_r: float,
    count: int,
    is_open: bool,  # noqa: FBT001 - a parameter
) -> None:
    cells = [(forget, seed) for forget in range(10) for seed in range(3)]
    rows = [
        make_row(Group.ANCHORS, "DAMP", unmasked, acc_r, seed) | {"forget": str(forget)}
        for forget, seed in cells[:count]
    ]
    rows.append(make_row(Group.ANCHORS, "DAMP", 1.0, 0.0) | {"forget": "0,4"})
    limits = make_limits(0.001, 0.945)
    expected = [(Group.ANCHORS, "DAMP")] if is_open else []
    assert find_undecided(rows, limits, Group.ANCHORS) == expected
    assert find_undecided(rows, limits[:-1], Group.ANCHORS)  # not known before we are measured


def test_picture_names_every_method_and_is_the_same_each_time(tmp_path: Path) -> None:
    panels = {
        group: {name: Place((0.1, 0.9), [(0.1, 0.9)]) for name in ("nhle-onnx", "DELETE")}
        for group in Group
    }
    paths = [tmp_path / name / "compare.svg" for name in "ab"]
    for path in paths:
        path.parent.mkdir()
        draw_scatter(panels, "nhle-onnx", path)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert b"DELETE" in first
