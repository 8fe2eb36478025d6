"""The site builds without a warning, loads nothing from elsewhere, and shows what it should."""

import html
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import nhle_onnx
from nhle_onnx.cli.commands import summarize
from nhle_onnx.cli.main import cli
from nhle_onnx.values.settings.groups import Group
from support import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. Strict: a warning, such as a link that leads nowhere, is an error."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Resources(HTMLParser):
    """What a browser would fetch to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in {"script", "img", "iframe", "source", "object"}:
            self.found.append(values.get("src") or values.get("data") or "")
        elif tag == "link" and values.get("rel") != "canonical":
            self.found.append(values.get("href") or "")


def list_resources(page: Path) -> list[str]:
    parser = Resources()
    parser.feed(page.read_text("utf-8"))
    return [target for target in parser.found if target]


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        for target in list_resources(page):
            assert not re.match(r"(\w+:)?//", target), f"{page.name}: {target}"
            if page.name != "404.html":  # whose links begin at the site's root
                assert (page.parent / target.split("?")[0]).exists(), f"{page.name}: {target}"
    for style in (*site.rglob("*.css"), *site.rglob("*.svg")):
        content = style.read_text("utf-8")
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", content), style


def test_every_command_is_in_the_reference(site: Path) -> None:
    """Commands under what they are for, and options in their groups, as `--help` has them."""
    page = (site / "reference" / "cli.html").read_text("utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", "", page))
    headings = re.findall(r'<h2 id="[^"]*">(.*?)<', page)
    assert headings == list(cli.list_kinds())
    assert {*re.findall(r"<strong>(.*?)</strong>", page)} == {*Group}
    for name, command in cli.commands.items():
        assert f'id="nhle-onnx-{name}"' in page, name
        assert summarize(command).replace("`", "") in text
        for parameter in command.params:
            if parameter.opts[0].startswith("--"):
                assert parameter.opts[0] in page, parameter.opts


def test_every_public_function_and_error_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "api.html").read_text("utf-8")
    for name in set(nhle_onnx.__all__) - {"__version__"}:
        assert re.search(rf'id="nhle_onnx\.[\w.]*\b{name}"', page), name


def test_nothing_names_a_place_of_ours(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert str(ROOT) not in page.read_text("utf-8"), page.name
