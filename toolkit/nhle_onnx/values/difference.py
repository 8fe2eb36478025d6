"""How two models differ, as `diff` reports it."""

from dataclasses import dataclass
from typing import Literal

from nhle_onnx.values.summary import FileSummary

SCHEMA = "nhle-onnx/diff/v1"
Kind = Literal["changed", "added", "removed", "another type or shape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorDifference:
    """A tensor that is not the same in both. `rows` counts those along the first axis that differ,
    and names runs of them, first and last; `largest` is the largest change of a number.
    """

    name: str
    kind: Kind
    dtype: str
    shape: tuple[int, ...]
    rows: tuple[tuple[int, int], ...] = ()
    row_count: int = 0
    changed_rows: int = 0
    largest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Structure, tensors, metadata and sizes. `claimed` are the tensors that a report of `unlearn`
    says it changed; None where there is none.
    """

    first: FileSummary
    second: FileSummary
    tensors: tuple[TensorDifference, ...]
    structure: tuple[str, ...]
    metadata: tuple[str, ...]
    claimed: tuple[str, ...] | None
    unclaimed: tuple[str, ...]
    growth_bytes: int
    schema: str = SCHEMA

    @property
    def is_same(self) -> bool:
        """Whether nothing differs at all."""
        return self.first.sha256 == self.second.sha256

    @property
    def passed(self) -> bool:
        """Whether nothing differs but what may."""
        return not (self.structure or self.metadata or self.unclaimed)

    @property
    def verdict(self) -> str:
        """One line: is it only what was claimed?"""
        if self.is_same:
            return "the files are the same"
        if self.structure or self.metadata:
            counts = f"{len(self.structure)} in the graph, {len(self.metadata)} in the metadata"
            return f"more than weights differs: {counts}"
        if self.claimed is None:
            return "only the values of tensors differ; no report says which may"
        if self.unclaimed:
            return f"{len(self.unclaimed)} tensors differ that the report does not name"
        return "only weights inside the claimed scope differ"
