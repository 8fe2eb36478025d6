"""Images on a page: which were forgotten, and which mistakes are new."""

from collections.abc import Sequence

from nhle_onnx.release.page.elements import Gallery, Tile
from nhle_onnx.text import name_class
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
