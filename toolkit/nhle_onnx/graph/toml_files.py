"""Reading TOML files from others."""

import re
import tomllib
from pathlib import Path
from typing import Any

from nhle_onnx.graph.regular_files import read_regular

_MAX_BYTES = 2**23
_PART = r"""(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
# the parser takes time quadratic in a key's parts: minutes for 200 KB
_DEEP_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*\.[ \t]*{_PART}){{16}}")


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file. Raises OSError or ValueError."""
    text = read_regular(path, _MAX_BYTES).decode()
    if _DEEP_KEY.search(text):
        raise ValueError("it has a key of more than 16 parts")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
