"""The exit code of a verdict, apart from it, as commands need it before they need reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nhle_onnx.values.verdict import Verdict

EXIT_CODES: Final[dict[Verdict, int]] = {"passed": 0, "failed": 1, "not-judged": 6}


def choose_exit_code(verdict: Verdict, *, allows_unjudged: bool = False) -> int:
    """Return the exit code of a command whose report has this verdict."""
    return 0 if allows_unjudged and verdict == "not-judged" else EXIT_CODES[verdict]
