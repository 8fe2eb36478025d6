"""What a page is made of."""

from dataclasses import dataclass

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
    """Cells of a table, the first of them its name; `is_marked` sets it apart from the others."""

    cells: tuple[str, ...]
    is_marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a header; the columns in `figures` hold figures, the others words."""

    title: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    figures: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, and under it sentences, a list, pictures and tables, in this order."""

    title: str
    sentences: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands under the heading."""
        return not (self.sentences or self.points or self.pictures or self.tables)


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
    verdict: Verdict
    sections: tuple[Section, ...]
