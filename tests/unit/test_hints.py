"""Texts that name options: as flags on the command line, as keywords in Python."""

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import nhle_onnx
from nhle_onnx.cli.main import cli
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.hints import hint, word
from support import ROOT
from support.runs import Nhle
from support.shipped import EVALUATION, LENET

PACKAGE = ROOT / "toolkit" / "nhle_onnx"
FLAG = re.compile(r"(?<![\w-])(--[a-z]|-[a-z] )")
PLACE = re.compile(r"\{(\w+)(?:=[^{}]*)?\}")
# where flags are at home, and scripts that run on devices, without the package
EXEMPT = ("cli", "api", "hints.py", "release/kit/runners")
OTHER_PROGRAMS = re.compile(r"`(ray|openssl|python) [^`]*`")


def list_modules() -> list[Path]:
    found = sorted(PACKAGE.rglob("*.py"))
    return [
        path
        for path in found
        if not any(path.is_relative_to(PACKAGE / folder) for folder in EXEMPT)
    ]


def list_texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_text_names_a_flag() -> None:
    named = {
        str(path.relative_to(PACKAGE)): text
        for path in list_modules()
        for text in list_texts(ast.parse(path.read_text("utf-8")))
        if FLAG.search(OTHER_PROGRAMS.sub("", text))
    }
    assert named == {}


def list_flags(command: click.Command) -> Iterator[str]:
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from list_flags(each)
    for item in command.params:
        yield from item.opts


def test_hints_name_options_that_exist() -> None:
    known = {flag.lstrip("-").replace("-", "_") for flag in list_flags(cli)}
    named = set()
    for path in list_modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "hint":
                given = {keyword.arg for keyword in node.keywords}
                named |= {name for text in list_texts(node) for name in PLACE.findall(text)} - given
    assert len(named) > 20
    assert named <= known


@pytest.mark.parametrize(
    ("template", "keywords", "flags"),
    [
        ("a smaller {lr}", "a smaller lr=", "a smaller --lr"),
        ("give {eval_data}", "give eval_data=", "give --eval-data"),
        ("{loss=saturating}", 'loss="saturating"', "--loss saturating"),
        ("{key=PUBLIC.pem}", 'key="PUBLIC.pem"', "--key PUBLIC.pem"),
        ("{labels=FILE}", "labels=FILE", "--labels FILE"),
        ("{size=8,9}", "size=(8, 9)", "--size 8,9"),
        ("{layout=NCHW|NHWC}", 'layout="NCHW" or "NHWC"', "--layout NCHW|NHWC"),
        ("{force=True}", "force=True", "--force"),
        ("{ a } {} {b", "{ a } {} {b", "{ a } {} {b"),
    ],
)
def test_an_option_is_a_keyword_or_a_flag(template: str, keywords: str, flags: str) -> None:
    made = hint(template)
    assert (made, made.flags) == (keywords, flags)
    assert (word(made, "keywords"), word(made, "flags")) == (keywords, flags)
    assert type(word(made, "keywords")) is type(word(made, "flags")) is str


def test_values_are_no_options_and_may_be_hints() -> None:
    made = hint("{file}: {why}", file="{lr}.onnx", why=hint("no {force=True}"))
    assert (made, made.flags) == ("{lr}.onnx: no force=True", "{lr}.onnx: no --force")


def test_hints_reach_other_processes() -> None:
    error = InputRefusedError("no", remedy=hint("Give {file}", file="{lr}"))
    remedy = pickle.loads(pickle.dumps(error)).remedy  # noqa: S301 - just made
    assert (remedy, remedy.flags) == ("Give {lr}", "Give {lr}")
    assert word("plain", "flags") == "plain"


def test_python_is_told_keywords_and_the_command_line_flags(nhle: Nhle, tmp_path: Path) -> None:
    out = tmp_path / "there.onnx"
    out.write_text("mine")
    with pytest.raises(InputRefusedError) as caught:
        nhle_onnx.unlearn(LENET, forget=3, out=out)
    assert caught.value.remedy == "Give force=True to replace it, or another name."
    result = nhle("unlearn", LENET, "--forget", 3, "--out", out)
    assert "remedy: Give --force to replace it, or another name." in result.err


def test_notes_speak_as_they_were_asked(nhle: Nhle) -> None:
    report = nhle_onnx.verify(LENET, forget=3, data=EVALUATION)
    gaps = {check.name: check.gap for check in report.checks}
    assert gaps["known_before"].startswith("without baseline= nothing shows")
    result = nhle("verify", LENET, "--forget", 3, "--data", EVALUATION)
    assert "known_before: without --baseline nothing shows" in result.out
