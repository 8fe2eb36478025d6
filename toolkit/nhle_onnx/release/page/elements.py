"""What a page is made of."""

from dataclasses import dataclass
from typing import Literal

from nhle_onnx.values.verdict import Verdict as Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A drawing as inline SVG. `alternative` says what it shows to those who cannot see it,
    `caption` what to look for.
    """

    title: str
    svg: str
    alternative: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Cells of a table, the first of them its name; `is_marked` sets it apart from the others, and
    `link` is the path of a page that tells more.
    """

    cells: tuple[str, ...]
    is_marked: bool = False
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a header; the columns in `figures` hold figures, the others words. A folded one is
    opened by a click.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    figures: frozenset[int] = frozenset()
    is_folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A box over an image; edges and sizes are in percent of the image. `kind` chooses its line."""

    left: float
    top: float
    width: float
    height: float
    kind: Literal["true", "forgotten", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A tile's image once more, with boxes over it and lines under it."""

    alternative: str
    lines: tuple[str, ...]
    outlines: tuple[Outline, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """An image as a data address, with lines under it; `is_marked` sets it apart. One with frames
    shows the image in each of them.
    """

    picture: str
    alternative: str
    lines: tuple[str, ...]
    is_marked: bool = False
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Images side by side, and what to look for."""

    title: str
    caption: str
    tiles: tuple[Tile, ...]

    @property
    def has_frames(self) -> bool:
        """Whether its tiles are wide."""
        return any(tile.frames for tile in self.tiles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, and under it sentences, a list, images, pictures and tables, in this order."""

    title: str
    sentences: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands under the heading."""
        return not (self.sentences or self.points or self.galleries or self.pictures or self.tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The sentence that matters, and those that explain it."""

    outcome: Outcome
    sentence: str
    explanation: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A whole page."""

    title: str
    tool: str
    verdict: Verdict | None
    sections: tuple[Section, ...]
