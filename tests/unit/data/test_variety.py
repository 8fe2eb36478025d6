"""Of many images, those that show the most are chosen; nearly equal ones are known as such."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nhle_onnx.data.variety import Array, choose_varied, measure_variety, spread


def make_scenes(count: int, each: int, seed: int = 0, size: int = 20) -> Array:
    """Images [N, 1, H, W]: so many scenes, each several times with a little noise."""
    rng = np.random.default_rng(seed)
    scenes = rng.normal(size=(count, 1, size, size)).astype(np.float32).repeat(each, 0)
    return scenes + rng.normal(scale=0.02, size=scenes.shape).astype(np.float32)


@given(st.integers(0, 40), st.integers(1, 40))
def test_a_spread_reaches_from_end_to_end(length: int, count: int) -> None:
    taken = spread(range(length), count)
    assert len(set(taken)) == len(taken) == min(length, count)
    assert taken[:1] == [0] * bool(length)
    gaps = {after - before for before, after in pairwise([*taken, length])}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_each_scene_is_chosen_once() -> None:
    """In order of the folder the first would be of one."""
    chosen = choose_varied(make_scenes(6, 9), "NCHW", 6)
    assert sorted(place // 9 for place in chosen) == list(range(6))
    assert chosen == sorted(chosen)


def test_layout_changes_no_choice() -> None:
    images = make_scenes(5, 4)
    colours = images * np.array([1, -2, 0.5], np.float32)[None, :, None, None]
    last = np.moveaxis(colours, 1, -1)
    assert choose_varied(colours, "NCHW", 7) == choose_varied(last, "NHWC", 7)
    rows = images.reshape(len(images), -1)
    assert sorted(place // 4 for place in choose_varied(rows, None, 5)) == list(range(5))


def test_an_outlier_is_not_chosen_for_being_far() -> None:
    images = make_scenes(4, 8)
    images[3] *= 4
    assert 3 not in choose_varied(images, "NCHW", 4)


@pytest.mark.parametrize(("scenes", "each", "low", "high"), [(16, 1, 0.8, 1.1), (2, 8, 0.0, 0.1)])
def test_variety_tells_copies_from_scenes(scenes: int, each: int, low: float, high: float) -> None:
    measured = measure_variety(make_scenes(scenes, each), make_scenes(100, 1, seed=1), "NCHW")
    assert measured is not None
    assert low <= measured <= high


def test_variety_of_one_image_or_of_copies() -> None:
    images = make_scenes(1, 1)
    assert measure_variety(images, images[:0], "NCHW") is None
    assert measure_variety(images.repeat(3, 0), images, "NCHW") == 0.0


def test_what_is_larger_than_the_grid_is_averaged() -> None:
    """Noise between neighbouring pixels is no variety."""
    plain = np.zeros((8, 1, 64, 64), np.float32)
    plain[:4, :, :32] = 1
    stripes = (
        plain + 0.5 * np.where(np.arange(64) % 2, 1, -1) * np.arange(-4, 4)[:, None, None, None]
    )
    assert measure_variety(stripes.astype(np.float32), plain[:0], "NCHW") == pytest.approx(
        0, abs=1e-6
    )
