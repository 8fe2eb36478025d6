"""The study of exporters: its table, its files, and what its page says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nhle_onnx.values.preprocess import ImageInput
from studies.exporters import make
from studies.exporters.command import order_rows
from studies.exporters.make import NotMadeError, make_file, run_route
from studies.exporters.measure import FIGURES, NOT_MADE, REFUSED, measure_cell, shape_inputs
from studies.exporters.page import KEY, describe
from studies.exporters.table import EXPORTERS, ROUTES, Cell, Route
from studies.tables import Row, get_key

CELLS = [cell for route in ROUTES for cell in route.cells]
FOLDER = Path(make.__file__).parent
TARGET = ImageInput(
    name="image", dtype="float32", batch=None, channels=1, height=32, width=32, layout="NCHW"
)


def make_row(cell: Cell, verdict: str = "PASSED", reason: str = "") -> Row:
    figures = dict.fromkeys(FIGURES, 0.5 if verdict == "PASSED" else None)
    said = {"inspect": "cwm", "method": "cwm", "verdict": verdict, "reason": reason}
    return {**cell._asdict(), **figures, **said}


def test_each_file_is_one_row_of_many() -> None:
    assert len(set(CELLS)) == len(CELLS) >= 60
    assert {cell.exporter for cell in CELLS} == {*EXPORTERS}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.exporter)
def test_programs_and_their_packages_are_there(route: Route) -> None:
    assert (FOLDER / "programs" / f"{route.program}.py").is_file()
    if route.environment:
        lines = (FOLDER / f"{route.environment}.txt").read_text("ascii").splitlines()
        assert lines
        assert all(line.count("==") == 1 for line in lines)


def test_what_cannot_be_made_is_a_row_with_its_reason(tmp_path: Path) -> None:
    route = replace(ROUTES[0], exporter="new", program="missing")
    with pytest.raises(NotMadeError, match=r"missing\.py"):
        run_route(route, "vit", tmp_path)
    folder = tmp_path / "torch" / "vit"
    folder.mkdir(parents=True)
    (folder / "made").touch()
    (folder / "dynamo.txt").write_text("ValueError: no such operator")
    cell = Cell("torch", "vit", "dynamo")
    with pytest.raises(NotMadeError, match="no such operator"):
        make_file(cell, tmp_path)
    row = measure_cell(cell, tmp_path)
    assert (row["verdict"], row["reason"]) == (NOT_MADE, "ValueError: no such operator")


def test_images_are_what_the_input_takes() -> None:
    images = np.linspace(-0.8, 2.0, 2 * 32 * 32, dtype=np.float32).reshape(2, 32, 32)
    assert shape_inputs(images, TARGET).shape == (2, 1, 32, 32)
    last = replace(TARGET, layout="NHWC")
    np.testing.assert_array_equal(shape_inputs(images, last)[..., 0], images)
    for kind, (low, high) in {"uint8": (0, 255), "int8": (-128, 127)}.items():
        pixels = shape_inputs(images, replace(last, dtype=kind))
        assert (pixels.dtype, pixels.min(), pixels.max()) == (np.dtype(kind), low, high)


def test_the_page_counts_and_gives_reasons() -> None:
    rows = [
        make_row(CELLS[2]),
        make_row(CELLS[1], "PASSED", "masked alone"),
        make_row(CELLS[0], REFUSED, "no network"),
        make_row(CELLS[3], NOT_MADE, "no such operator"),
    ]
    ordered = order_rows([*rows, make_row(Cell("gone", "vit", "x"))])
    assert [get_key(row, KEY) for row in ordered] == CELLS[:4]
    text = describe(ordered)
    assert "4 files: 2 PASSED, 1 refused, 1 not made." in text
    refused, rest = text.split("## Refused")[1].split("## Not made by the exporter")
    not_made, masked = rest.split("## Masked only")
    assert "no network" in refused
    assert "no such operator" in not_made
    assert "masked alone" in masked
