"""Images on a page: which were forgotten, and which mistakes are new."""

from collections.abc import Sequence
from typing import Literal

from nhle_onnx.release.page.elements import Frame, Gallery, Outline, Tile
from nhle_onnx.text import name_class
from nhle_onnx.values.detection import ShownBox, ShownScene
from nhle_onnx.values.outcomes import Outcomes, ShownImage


def show_forgotten(labels: Sequence[str], outcomes: Outcomes) -> Gallery | None:
    """Show images of forgotten classes with the answers before and after; None without any."""
    tiles = _make_tiles(labels, outcomes.forgotten)
    still = sum(tile.is_marked for tile in tiles)
    found = (
        f"{still} of these {len(tiles)} are still recognised; they come first."
        if still
        else f"None of these {len(tiles)} is recognised any more."
    )
    caption = f"{found} Under each image: its class, and what the models answer."
    return _gather("Images of the forgotten class", caption, tiles)


def show_mistakes(labels: Sequence[str], outcomes: Outcomes) -> Gallery | None:
    """Show images of other classes that only the edited model gets wrong; None without any."""
    tiles = tuple(
        Tile(picture=each.picture, alternative=each.alternative, lines=each.lines)
        for each in _make_tiles(labels, outcomes.mistakes)
    )
    caption = "Images of other classes that the edited model gets wrong, the surest mistakes first."
    return _gather("The worst mistakes on other classes", caption, tiles)


def show_scenes(
    labels: Sequence[str], forget: Sequence[int], scenes: Sequence[ShownScene]
) -> Gallery | None:
    """Images that show a forgotten class, with the boxes before and after; None without any."""
    tiles = tuple(_make_scene(labels, forget, scene) for scene in scenes)
    still = sum(tile.is_marked for tile in tiles)
    found = (
        f"It is still detected in {still} of these {len(tiles)} images; they come first."
        if still
        else f"It is no longer detected in any of these {len(tiles)} images."
    )
    caption = (
        f"{found} Thin white: given boxes. Thick orange: the forgotten class, from a score of "
        "0.05. Blue: other classes, from 0.3."
    )
    return _gather("Images that show the forgotten class", caption, tiles)


def _make_scene(labels: Sequence[str], forget: Sequence[int], scene: ShownScene) -> Tile:
    names = {"original": "before", "edited": "after"}
    frames = tuple(
        _make_frame(labels, forget, scene, name, scene.detected[role])
        for role, name in names.items()
        if role in scene.detected
    )
    return Tile(
        picture=scene.picture if scene.picture.startswith("data:image/") else "",
        alternative=f"Image {scene.index}",
        lines=(),
        is_marked=any(box.index in forget for box in scene.detected.get("edited", ())),
        frames=frames,
    )


def _make_frame(
    labels: Sequence[str],
    forget: Sequence[int],
    scene: ShownScene,
    name: str,
    boxes: Sequence[ShownBox],
) -> Frame:
    found = ", ".join(f"{labels[box.index]} {box.score:.2f}" for box in boxes) or "nothing"
    others = [box for box in boxes if box.index not in forget]
    forgotten = [box for box in boxes if box.index in forget]
    return Frame(
        alternative=f"Image {scene.index} with the boxes {name} forgetting: {found}",
        lines=(name, found),
        outlines=(
            *(_outline(box, "true") for box in scene.true),
            *(_outline(box, "other") for box in others),
            *(_outline(box, "forgotten") for box in forgotten),  # last, so that none hides them
        ),
    )


def _outline(box: ShownBox, kind: Literal["true", "forgotten", "other"]) -> Outline:
    left, top, right, bottom = (round(100 * edge, 2) for edge in box.corners)
    return Outline(
        left=left,
        top=top,
        width=max(0.0, round(right - left, 2)),
        height=max(0.0, round(bottom - top, 2)),
        kind=kind,
    )


def _gather(title: str, caption: str, tiles: tuple[Tile, ...]) -> Gallery | None:
    return Gallery(title=title, caption=caption, tiles=tiles) if tiles else None


def _make_tiles(labels: Sequence[str], images: Sequence[ShownImage]) -> tuple[Tile, ...]:
    return tuple(_make_tile(labels, image) for image in images)


def _make_tile(labels: Sequence[str], image: ShownImage) -> Tile:
    true = name_class(image.true, labels[image.true])
    before, after = (
        name_class(answer, labels[answer]) if answer is not None else ""
        for answer in (image.answers.get("original"), image.answers.get("edited"))
    )
    lines = (true, *((f"before: {before}",) if before else ()), f"after: {after}")
    return Tile(
        picture=image.picture if image.picture.startswith("data:image/") else "",
        alternative=f"Image {image.index} of {true}",
        lines=lines,
        is_marked=image.answers.get("edited") == image.true,
    )
