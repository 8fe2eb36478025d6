"""Writing and reading results, with how they were made."""

import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nhle_onnx.workflows.classifier import TOOL, list_environment

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"


def write_results(name: str, title: str, body: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write `name`.md for people and `name`.jsonl for programs, with how they were made."""
    made = {
        "command": shlex.join(["python", "-m", Path(sys.argv[0]).parent.name, *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "tool": f"{TOOL['name']} {TOOL['version']}",
        "machine": f"{read_processor()}, {os.cpu_count()} cores",
        **list_environment(),
    }
    facts = "\n".join(f"- {key}: {value}" for key, value in made.items())
    text = f"# {title}\n\n{body}\n\n## How this was made\n\n{facts}\n"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, "utf-8")
    lines = [json.dumps(line, separators=(",", ":")) for line in ({"made": made}, *rows)]
    _find_rows(name).write_text("\n".join(lines) + "\n", "utf-8")


def read_rows(name: str) -> list[dict[str, Any]]:
    """Read the rows of an earlier run, or an empty list. The first line says how they were made;
    each further line is a row.
    """
    path = _find_rows(name)
    if not path.is_file():
        return []
    _, *lines = path.read_text("ascii").splitlines()
    return [json.loads(line) for line in lines]


def read_processor() -> str:
    """Read the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")


def _find_rows(name: str) -> Path:
    return RESULTS / f"{name}.jsonl"
