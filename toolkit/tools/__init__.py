"""Developers' tools, run by hand: `python -m tools NAME`. Some use the tests' hostile files."""

import sys
from pathlib import Path

# `support` is part of the tests, which find it in their own folder; it is not installed.
sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
