"""The commands by hand that pages name exist."""

import re
from pathlib import Path

import click
import pytest

import benchmarks.__main__
import studies.__main__
import tools.__main__
from support import ROOT

GROUPS: dict[str, click.Group] = {
    "benchmarks": benchmarks.__main__.main,
    "studies": studies.__main__.main,
    "tools": tools.__main__.main,
}
# pages of results say how they were made, at their time
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent.name != "results"),
    *sorted((ROOT / "toolkit").rglob("*.py")),
    ROOT / "pyproject.toml",
]


def find_commands(page: Path) -> list[tuple[str, str]]:
    text = page.read_text("utf-8")
    return re.findall(rf"python -m ({'|'.join(GROUPS)}) ([a-z][a-z-]+)", text)


NAMED = [(page, *command) for page in PAGES for command in find_commands(page)]


def test_the_readme_names_commands_of_each_kind() -> None:
    assert {kind for page, kind, _ in NAMED if page == ROOT / "README.md"} == set(GROUPS)


@pytest.mark.parametrize(
    ("page", "kind", "name"), NAMED, ids=lambda part: getattr(part, "name", part)
)
def test_a_named_command_exists(page: Path, kind: str, name: str) -> None:
    assert name in GROUPS[kind].commands, page
