"""Charts of figures that are not all there, and of more than a page usually has."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from nhle_onnx.release.page.charts.confusion import draw_confusion
from nhle_onnx.release.page.charts.curves import draw_layers
from nhle_onnx.release.page.charts.points import draw_projection, spread
from nhle_onnx.release.page.charts.rows import draw_attacks
from nhle_onnx.release.page.pictures.answers import count_flows, picture_confusion
from nhle_onnx.values.audit import Projection
from support.reports import LABELS, MEASURES, OUTCOMES


def list_texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize(
    ("missing", "bars"),
    [((), 2), (("original",), 1), (("edited",), 1), (("original", "edited"), 0)],
)
def test_a_figure_that_was_not_measured_has_no_bar(missing: tuple[str, ...], bars: int) -> None:
    figure = Figure()
    measure = replace(MEASURES[0], interval=None, **dict.fromkeys(missing))
    draw_attacks(figure, [measure])
    assert len(figure.axes[0].patches) == bars


@pytest.mark.parametrize(("count", "shown"), [(3, 3), (4, 4), (5, 5)])
def test_panels_without_a_layer_are_left_blank(count: int, shown: int) -> None:
    figure = Figure()
    draw_layers(figure, {f"layer {place}": {"edited": {1: 0.5, 5: 0.7}} for place in range(count)})
    assert sum(axes.get_visible() for axes in figure.axes) == shown
    assert len(figure.axes) % min(3, count) == 0


@pytest.mark.parametrize(("count", "texts"), [(3, 3), (13, 0)])
def test_a_large_table_has_no_figures(count: int, texts: int) -> None:
    figure = Figure()
    names = [f"class {index}" for index in range(count)]
    draw_confusion(figure, names, range(count), {"edited": np.eye(count)}, [0])
    assert len(list_texts(figure)) == texts


@pytest.mark.parametrize(
    ("count", "forget", "named"), [(4, (1,), ["0", "2", "3"]), (1, (0,), []), (30, (1,), [])]
)
def test_classes_are_named_where_there_is_room(
    count: int, forget: tuple[int, ...], named: list[str]
) -> None:
    figure = Figure()
    classes = np.repeat(np.arange(count), 3)
    points = np.random.default_rng(0).normal(size=(len(classes), 2))
    names = [str(index) for index in range(count)]
    draw_projection(figure, Projection(classes=classes, points={"edited": points}), forget, names)
    assert list_texts(figure) == named


def test_labels_that_have_no_room_stay_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moving them apart comes to an end."""
    monkeypatch.setattr("nhle_onnx.release.page.charts.points._MOVES", 1)
    places = np.zeros((40, 2))
    spaced = spread(places, np.array([1.0, 0.0]))
    assert np.isfinite(spaced).all()
    assert np.abs(spaced).max() < 3
    assert len(np.unique(spaced, axis=0)) == 40


def test_without_images_there_is_no_table() -> None:
    nothing = replace(OUTCOMES, images=0, confusion={"edited": (), "original": ((3, 1, 5),)})
    assert picture_confusion(LABELS, (3,), nothing) is None
    assert count_flows(nothing, (3,), 10) == {"original": [0.0, 1.0, *[0.0] * 8]}
