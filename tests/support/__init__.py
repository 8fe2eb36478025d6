"""What the tests share, and the developers' tools: hostile files, changed files, kills, cases."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"  # the folder in which `python -m support.…` runs
