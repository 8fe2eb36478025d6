"""The tutorial's lines run as they stand, and print what is shown."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.text import Text

from support import ROOT
from tools.tutorial import Step, find_steps, make_folder, run_in_terminal

DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Step, str]]:
    """Each step of the tutorial with what it printed."""
    folder = make_folder(ROOT, tmp_path_factory.mktemp("tutorial"))
    return [
        (step, run_in_terminal(step.command, folder))
        for step in find_steps(TUTORIAL.read_text("utf-8"))
    ]


def keep_words(text: str) -> list[str]:
    """Without figures and digests, which differ between machines, and without the spaces."""
    return re.sub(r"\b[0-9a-f]{64}\b|[-+]?\d[\d.,e+-]*|\s+", " ", text).split()


def read_picture(path: Path) -> str:
    """The text of an SVG."""
    texts = ET.parse(path).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314 - ours
    return " ".join("".join(text.itertext()) for text in texts)


def test_texts_show_what_is_printed(ran: list[tuple[Step, str]]) -> None:
    shown = [(step.shown, output) for step, output in ran if step.shown is not None]
    assert len(shown) >= 4
    for text, output in shown:
        assert keep_words(text) == keep_words(Text.from_ansi(output).plain)


def test_pictures_show_what_is_printed(ran: list[tuple[Step, str]]) -> None:
    drawn = [(step, output) for step, output in ran if step.picture]
    assert len(drawn) >= 2
    for step, output in drawn:
        assert step.picture
        words = keep_words(read_picture(DOCS / step.picture))
        expected = keep_words(f"$ {step.command} {Text.from_ansi(output).plain}")
        assert "".join(words).endswith("".join(expected)[-400:])


def test_the_tutorial_makes_its_point(ran: list[tuple[Step, str]]) -> None:
    before, forgotten, masked = (
        Text.from_ansi(output).plain
        for step, output in ran
        if re.search(r"nhle-onnx (verify|unlearn) .*", step.command)
        and "--quiet" not in step.command
    )
    assert before.rstrip().endswith("FAILED: after.acc_f missed its limit\nexit code 1")
    assert "PASSED" in forgotten
    assert re.search(r"unmasked\.acc_f +0\.\d+ .*FAILED", masked)
    assert ran[-1][1] == "the same file\n"
