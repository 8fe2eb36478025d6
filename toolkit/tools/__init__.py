"""Developers' tools: `python -m tools NAME`. They use the tests' hostile files, kills and cases."""

import sys
from pathlib import Path

# `support` is part of the tests, which find it in their own folder; it is not installed.
sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
