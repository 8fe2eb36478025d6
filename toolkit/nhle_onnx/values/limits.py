"""Limits for untrusted files."""

from typing import Final

MAX_ELEMENTS: Final = 2**30  # 4 GiB of float32 weights
