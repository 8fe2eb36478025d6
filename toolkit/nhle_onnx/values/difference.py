"""How two models differ, as `diff` reports it."""

from dataclasses import dataclass
from typing import Literal

from nhle_onnx.values.summary import FileSummary

SCHEMA = "nhle-onnx/diff/v1"
Kind = Literal["changed", "added", "removed", "another type or shape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorDifference:
    """A tensor that differs between two models.

    `changed_rows` of its `row_count` rows along the first axis differ; `rows` gives the first and
    last of each run of them. `largest` is the largest change of a number.
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
    """Structure, tensors, metadata and sizes.

    `claimed` are the tensors that the report of `unlearn` says it changed; None without a report.
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
        """Whether the two models are the same, with the weights in their sidecars."""
        first, second = self.first, self.second
        return (first.sha256, first.sidecars) == (second.sha256, second.sidecars)

    @property
    def passed(self) -> bool:
        """Whether only claimed tensors differ."""
        return not (self.structure or self.metadata or self.unclaimed)

    @property
    def verdict(self) -> str:
        """One line that says whether only claimed tensors differ."""
        if self.is_same:
            return "the files are the same"
        if self.structure or self.metadata:
            counts = f"{len(self.structure)} in the graph, {len(self.metadata)} in the metadata"
            return f"more than weights differs: {counts}"
        if self.claimed is None:
            return "only the values of tensors differ; there is no report that says which may"
        if self.unclaimed:
            return f"{len(self.unclaimed)} tensors differ that the report does not name"
        return "only weights inside the claimed scope differ"
