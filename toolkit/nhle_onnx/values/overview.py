"""What is common to the reports of all commands, for formats that show any of them."""

from dataclasses import dataclass

from nhle_onnx.values.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One gate, or one job of a fleet.

    `reason` says why it did not pass. `cells` are its figures, under the overview's `header`.
    """

    name: str
    verdict: Verdict
    reason: str
    cells: tuple[str, ...]
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A report in brief: its verdict, its cases, and where it came from."""

    command: str
    title: str
    verdict: Verdict
    meaning: str
    header: tuple[str, ...]
    cases: tuple[Case, ...]
    facts: dict[str, str]
    notes: tuple[str, ...]
    elapsed_s: float
