"""The gallery of a detector's page."""

from nhle_onnx.release.page.galleries import show_scenes
from nhle_onnx.values.detection import ShownBox, ShownScene

LABELS = ("cup", "hat")
CUP = ShownBox(corners=(0.1, 0.2, 0.5, 0.8), index=0, score=0.5)
HAT = ShownBox(corners=(0.1, 0.2, 0.5, 0.8), index=1, score=0.75)


def make_scene(*edited: ShownBox, picture: str = "data:image/png;base64,") -> ShownScene:
    detected = {"original": (HAT, CUP), "edited": edited}
    return ShownScene(index=7, true=(HAT,), detected=detected, picture=picture)  # type: ignore[arg-type] # roles


def test_the_forgotten_class_lies_above_all_other_boxes() -> None:
    gallery = show_scenes(LABELS, (1,), [make_scene(CUP)])
    assert gallery
    assert gallery.has_frames
    (tile,) = gallery.tiles
    before, after = tile.frames
    assert [box.kind for box in before.outlines] == ["true", "other", "forgotten"]
    assert [box.kind for box in after.outlines] == ["true", "other"]
    assert before.lines == ("before", "hat 0.75, cup 0.50")
    assert after.alternative == "Image 7 with the boxes after forgetting: cup 0.50"
    box = before.outlines[2]
    assert (box.left, box.top, box.width, box.height) == (10.0, 20.0, 40.0, 60.0)
    assert not tile.is_marked


def test_what_is_still_detected_is_marked_and_counted() -> None:
    gallery = show_scenes(LABELS, (1,), [make_scene(HAT), make_scene()])
    assert gallery
    assert [tile.is_marked for tile in gallery.tiles] == [True, False]
    assert "still detected in 1 of these 2 images" in gallery.caption
    assert gallery.tiles[1].frames[1].lines == ("after", "nothing")


def test_a_picture_from_elsewhere_is_not_loaded() -> None:
    gallery = show_scenes(LABELS, (1,), [make_scene(picture="https://example.com/x.png")])
    assert gallery
    assert gallery.tiles[0].picture == ""


def test_without_scenes_there_is_no_gallery() -> None:
    assert show_scenes(LABELS, (1,), ()) is None
