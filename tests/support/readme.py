"""What the README shows."""

import re

from support import ROOT

README = (ROOT / "README.md").read_text("utf-8")


def read_shown_output(index: int = 0) -> list[str]:
    shown: str = re.findall(r"```text\n(.*?)```", README, re.DOTALL)[index]
    return shown.splitlines()


def keep_names(lines: list[str]) -> list[str]:
    """Lines without figures and paths, which differ between machines."""
    return [re.sub(r"\s+", " ", re.sub(r"[-\d.,]+|\S*/\S*", "", line)).strip() for line in lines]
