"""Help begins with an example that works, groups every option, and cuts nothing."""

import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from nhle_onnx.cli.commands import summarize
from nhle_onnx.cli.groups import GroupedCommand, GroupedOption
from nhle_onnx.cli.main import cli
from nhle_onnx.values.settings.groups import Group
from support.runs import Nhle


def list_all(command: click.Command, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield names
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from list_all(child, (*names, name))


def find(names: tuple[str, ...]) -> GroupedCommand:
    command: click.Command = cli
    for name in names:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    assert isinstance(command, GroupedCommand)
    return command


def squeeze(text: str) -> str:
    return "".join(text.split())


COMMANDS = [pytest.param(names, id=" ".join(names) or "nhle-onnx") for names in list_all(cli)]


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("names", COMMANDS)
def test_nothing_is_cut(
    names: tuple[str, ...], columns: int, nhle: Nhle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = nhle(*names, "--help").out
    command = find(names)
    assert max(map(len, shown.splitlines())) <= columns
    children = command.commands.values() if isinstance(command, click.Group) else ()
    options = [item for item in command.params if isinstance(item, click.Option)]
    words = set(shown.split())
    for text in [command.help, *map(summarize, children), *(item.help for item in options)]:
        assert text, "every option has a text"
        assert squeeze(text) in squeeze(shown)
        assert {word for word in text.split() if "-" not in word} <= words  # whole words


def test_the_list_of_commands_imports_none_of_them() -> None:
    code = "import sys; sys.argv = ['nhle-onnx', '--help']; "
    code += "from nhle_onnx.cli.main import run; run(); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = shown.stdout.splitlines()[-1].split()
    assert "nhle_onnx.cli.groups" in modules
    assert "nhle_onnx.cli.unlearn" not in modules


@pytest.mark.parametrize("names", COMMANDS)
def test_a_summary_fits_on_its_line(names: tuple[str, ...]) -> None:
    command = find(names)
    assert not names or len(summarize(command)) <= 59  # beside the longest name


@pytest.mark.parametrize("names", COMMANDS)
def test_every_option_is_in_a_group(names: tuple[str, ...], nhle: Nhle) -> None:
    command = find(names)
    shown = nhle(*names, "--help").out
    headings = [line[:-1] for line in shown.splitlines() if line.endswith(":") and line[0] != " "]
    groups = [heading for heading in headings if heading in {*Group}]
    assert groups == [group for group in Group if group in groups]  # in their order
    for item in command.params:
        if isinstance(item, click.Option) and "--version" not in item.opts:
            assert isinstance(item, GroupedOption), item.opts
            assert item.group in groups


@pytest.mark.parametrize("names", COMMANDS)
def test_the_example_comes_first_and_is_a_command(names: tuple[str, ...], nhle: Nhle) -> None:
    command = find(names)
    lines = [line for line in nhle(*names, "--help").out.splitlines() if line]
    assert lines[1] == "Example:"
    assert lines[2].strip() == command.example.splitlines()[0]
    program, *words = shlex.split(command.example.replace("\\\n", ""))
    assert program == "nhle-onnx"
    given = tuple(words[: max(len(names), 1)])
    assert given[: len(names)] == names
    while isinstance(find(given), click.Group):
        given = tuple(words[: len(given) + 1])
    find(given).make_context(given[-1], words[len(given) :])  # as click reads it, without running
