"""Writing and reading results, with how they were made, and continuing interrupted runs.

Pages and their rows are published in docs/results when a study is finished. Until then, each row is
kept outside the checkout as soon as it is measured: rows found there belong to an interrupted run.
"""

import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from nhle_onnx.workflows.classifier import TOOL, list_environment
from studies.tables import Row

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
UNFINISHED = _CACHE / "nhle-onnx" / "studies" / "-".join(ROOT.parts[1:])  # of this checkout


class KeptRows:
    """The rows of a study; each is kept in a file as soon as it is added."""

    def __init__(self, path: Path, rows: Sequence[Row]) -> None:
        self.rows = [*rows]
        self._path = path
        self._is_begun = False  # the first row added replaces the file

    def add(self, row: Row) -> None:
        """Keep a row."""
        self.rows.append(row)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a" if self._is_begun else "w", encoding="ascii") as file:
            file.writelines(map(_write_line, [row] if self._is_begun else self.rows))
        self._is_begun = True


@contextmanager
def resume(
    name: str, *, fresh: bool = False, chosen: Callable[[Row], bool] = lambda _: True
) -> Iterator[KeptRows]:
    """Yield the rows measured so far: those of an interrupted run, or else those published, as a
    row names all that it depends on. `fresh` leaves out those that are `chosen`.

    Publish them within the context: if it ends without an error, the kept copies are deleted.
    """
    path = UNFINISHED / f"{name}.jsonl"
    known = _parse_lines(path.read_text("ascii")) if path.is_file() else read_rows(name)
    yield KeptRows(path, [row for row in known if not (fresh and chosen(row))])
    path.unlink(missing_ok=True)


def write_results(name: str, title: str, body: str, rows: Sequence[Row]) -> None:
    """Write `name`.md for people and `name`.jsonl for programs, with how they were made."""
    made = {
        "command": shlex.join(
            ["python", "-m", Path(sys.argv[0]).parent.name, *map(_shorten, sys.argv[1:])]
        ),
        "date": datetime.now(UTC).date().isoformat(),
        "tool": f"{TOOL['name']} {TOOL['version']}",
        "machine": f"{read_processor()}, {os.cpu_count()} cores",
        **list_environment(),
    }
    facts = "\n".join(f"- {key}: {value}" for key, value in made.items())
    text = f"# {title}\n\n{body}\n\n## How this was made\n\n{facts}\n"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, "utf-8")
    _find_rows(name).write_text("".join(map(_write_line, ({"made": made}, *rows))), "ascii")


def read_rows(name: str) -> list[Row]:
    """Read the published rows, or an empty list. The first line says how they were made; each
    further line is a row.
    """
    path = _find_rows(name)
    return _parse_lines(path.read_text("ascii"))[1:] if path.is_file() else []


def read_processor() -> str:
    """Read the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")


def _shorten(argument: str) -> str:
    """Write a path relative to the checkout, as a reader has another folder."""
    return os.path.relpath(argument, ROOT) if Path(argument).is_absolute() else argument


def _find_rows(name: str) -> Path:
    return RESULTS / f"{name}.jsonl"


def _write_line(row: Row) -> str:
    return json.dumps(row, separators=(",", ":")) + "\n"


def _parse_lines(text: str) -> list[Row]:
    """Parse a row from each line; a line without an end was cut off while it was written."""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
