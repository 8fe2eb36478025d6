"""Limits on what strangers' files may ask for."""

from typing import Final

MAX_ELEMENTS: Final = 2**30  # 4 GiB of float32 weights
