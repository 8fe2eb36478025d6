"""Random views of scenes: boxes stay on what they show."""

import pytest
import torch
from torch import Tensor

from nhle_onnx.unlearning.views import Scenes, draw_view, paste_objects

HEIGHT, WIDTH = 12, 16


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def make_scenes(*boxes: list[int], height: int = HEIGHT, width: int = WIDTH) -> Scenes:
    """One scene for each box (left, top, right, bottom, class), bright where the box is."""
    images = torch.zeros(len(boxes), 1, height, width)
    for image, (left, top, right, bottom, _) in zip(images, boxes, strict=True):
        image[:, max(top, 0) : bottom, max(left, 0) : right] = 1
    return Scenes(images, tuple(torch.tensor([box]).float() for box in boxes))


def find_bright(image: Tensor) -> list[int]:
    """The corners of what is bright."""
    rows, columns = (image[0].amax(axis) > 0 for axis in (1, 0))
    (top, *_, bottom), (left, *_, right) = (
        each.nonzero()[:, 0].tolist() for each in (rows, columns)
    )
    return [left, top, right + 1, bottom + 1]


def test_views_without_a_shift_are_some_of_the_scenes() -> None:
    scenes = make_scenes(*([place, 3, place + 2, 5, place] for place in range(1, 9)))
    view = draw_view(scenes, 5, 0, seed(), mirrors=False)
    places = [int(boxes[0, 4]) for boxes in view.boxes]
    assert len(view.images) == len(places) == len({*places}) == 5
    assert places != sorted(places)
    for image, boxes, place in zip(view.images, view.boxes, places, strict=True):
        assert torch.equal(image, scenes.images[place - 1])
        assert torch.equal(boxes, scenes.boxes[place - 1])
    assert len(draw_view(scenes, 99, 0, seed(), mirrors=True).images) == 8


@pytest.mark.parametrize("mirrors", [False, True])
def test_boxes_move_with_their_objects(*, mirrors: bool) -> None:
    scenes = make_scenes(*([[5, 4, 9, 7, 3]] * 300))
    view = draw_view(scenes, 300, 2, seed(), mirrors=mirrors)
    shifts = set()
    for image, boxes in zip(view.images, view.boxes, strict=True):
        assert boxes.tolist() == [[*find_bright(image), 3]]
        shifts.add((int(boxes[0, 0]), int(boxes[0, 1])))
    assert {top for _, top in shifts} == {2, 3, 4, 5, 6}
    assert {left for left, _ in shifts} == {3, 4, 5, 6, 7} | ({8, 9} if mirrors else set())
    assert len(shifts) == (35 if mirrors else 25)


def test_half_of_the_views_are_mirrored() -> None:
    scenes = make_scenes(*([[1, 4, 3, 7, 0]] * 400))
    view = draw_view(scenes, 400, 0, seed(), mirrors=True)
    mirrored = [boxes[0, 0].item() == 13 for boxes in view.boxes]
    assert 160 < sum(mirrored) < 240
    assert {boxes[0, 0].item() for boxes in view.boxes} == {1, 13}


def test_what_a_shift_uncovers_is_the_edge() -> None:
    image = torch.arange(HEIGHT)[:, None] * 100.0 + torch.arange(WIDTH)
    scenes = Scenes(
        image[None, None].repeat(20, 1, 1, 1), (torch.tensor([[5.0, 4, 9, 7, 3]]),) * 20
    )
    view = draw_view(scenes, 20, 3, seed(), mirrors=False)
    for shown, boxes in zip(view.images, view.boxes, strict=True):
        right, down = (int(boxes[0, place] - at) for place, at in ((0, 5), (1, 4)))
        rows = (torch.arange(HEIGHT) - down).clamp(0, HEIGHT - 1)
        columns = (torch.arange(WIDTH) - right).clamp(0, WIDTH - 1)
        assert torch.equal(shown[0], image[rows][:, columns])


def test_an_object_is_pasted_somewhere_at_another_size() -> None:
    scenes = make_scenes([10, 10, 30, 40, 7], height=50, width=60)
    frames = make_scenes(*([[0, 0, 0, 0, 2]] * 200), height=50, width=60)
    pasted = paste_objects(scenes, frames, seed())
    found = []
    for image, boxes in zip(pasted.images, pasted.boxes, strict=True):
        assert boxes.tolist() == [[0, 0, 0, 0, 2], [*find_bright(image), 7]]
        left, top, right, bottom = find_bright(image)
        assert image[0, top:bottom, left:right].min() == pytest.approx(1)
        assert (bottom - top) / (right - left) == pytest.approx(1.5, abs=0.1)
        found.append((left, top, right - left, bottom - top))
    lefts, tops, wides, talls = ({*each} for each in zip(*found, strict=True))
    assert (min(wides), max(wides)) == (15, 26)
    assert min(talls) in {22, 23}
    assert max(talls) in {38, 39}
    assert min(lefts) <= 2
    assert min(tops) <= 2
    assert max(left + wide for left, _, wide, _ in found) == 60
    assert max(top + tall for _, top, _, tall in found) == 50
    assert not frames.images.any()


@pytest.mark.parametrize(
    ("box", "most"),
    [([-6, -9, 8, 8, 1], (10, 10)), ([0, 0, 16, 12, 1], (16, 12)), ([2, 2, 6, 6, 1], (5, 5))],
    ids=["beyond the edge", "as large as the frame", "as small as can be"],
)
def test_a_pasted_object_is_what_the_image_shows_of_it(
    box: list[int], most: tuple[int, int]
) -> None:
    frames = make_scenes(*([[0, 0, 0, 0, 2]] * 60))
    pasted = paste_objects(make_scenes(box), frames, seed())
    sizes = [
        (right - left, bottom - top) for left, top, right, bottom in map(find_bright, pasted.images)
    ]
    assert (max(wide for wide, _ in sizes), max(tall for _, tall in sizes)) == most
    assert min(side for size in sizes for side in size) >= 4


@pytest.mark.parametrize("box", [[2, 2, 5, 8, 1], [2, 2, 8, 5, 1], [-9, 2, 3, 8, 1]])
def test_what_is_too_small_is_not_pasted(box: list[int]) -> None:
    frames = make_scenes([1, 1, 3, 3, 2])
    pasted = paste_objects(make_scenes(box), frames, seed())
    assert torch.equal(pasted.images, frames.images)
    assert torch.equal(pasted.boxes[0], frames.boxes[0])


def test_objects_of_all_scenes_are_pasted_and_without_one_nothing() -> None:
    scenes = make_scenes(*([2, 2, 8, 8, index] for index in range(5)))
    frames = make_scenes(*([[0, 0, 0, 0, 9]] * 60))
    pasted = paste_objects(scenes, frames, seed())
    assert {int(boxes[1, 4]) for boxes in pasted.boxes} == {*range(5)}
    nothing = Scenes(scenes.images, (torch.zeros(0, 5),) * 5)
    assert len(paste_objects(nothing, frames, seed()).images) == 0


def test_scenes_are_chosen_and_joined_with_their_boxes() -> None:
    scenes = make_scenes(*([2, 2, 8, 8, index] for index in range(4)))
    joined = scenes.choose([3, 1]).extend(scenes.choose([0]))
    assert [int(boxes[0, 4]) for boxes in joined.boxes] == [3, 1, 0]
    assert torch.equal(joined.images, scenes.images[[3, 1, 0]])


@pytest.mark.parametrize("count", [0, 1])
def test_objects_are_pasted_into_as_many_frames_as_there_are(count: int) -> None:
    frames = make_scenes(*([[0, 0, 0, 0, 1]] * count))
    view = draw_view(frames, 4, 1, seed(), mirrors=True)
    assert (len(view.images), len(view.boxes)) == (count, count)
    pasted = paste_objects(make_scenes([5, 4, 9, 8, 3]), view, seed())
    assert [boxes.shape for boxes in pasted.boxes] == [(2, 5)] * count
    assert pasted.images.shape == (count, 1, HEIGHT, WIDTH)
