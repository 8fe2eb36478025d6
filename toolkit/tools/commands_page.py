"""The site's page of commands, grouped as `--help` groups them: a hook of mkdocs."""

import inspect
from collections.abc import Iterator

import click

from nhle_onnx.cli.groups import CommandGroup, GroupedOption
from nhle_onnx.cli.main import cli
from nhle_onnx.values.settings.groups import Group

_MARK = "::: nhle-onnx commands"


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the commands where a page asks for them."""
    return markdown.replace(_MARK, describe_commands()) if _MARK in markdown else markdown


def describe_commands() -> str:
    """Describe every command under the heading of what it is for."""
    return "\n\n".join(
        part
        for kind, names in cli.list_kinds().items()
        for part in (f"## {kind}", *(_describe(cli.commands[name], name) for name in names))
    )


def _describe(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=f"nhle-onnx {name}")
    parts = [
        f"### nhle-onnx {name}",
        _write(inspect.cleandoc(command.help or "")),
        f"```text\n{command.get_usage(context)}\n```",
        *_list_options(command, context),
    ]
    if isinstance(command, CommandGroup):
        parts += [_describe(child, f"{name} {each}") for each, child in command.commands.items()]
    return "\n\n".join(parts)


def _list_options(command: click.Command, context: click.Context) -> Iterator[str]:
    """List the options of each group, as terms with their meaning."""
    options = [item for item in command.params if isinstance(item, click.Option)]
    for group in Group:
        records = [
            item.get_help_record(context)
            for item in options
            if (item.group if isinstance(item, GroupedOption) else Group.GENERAL) is group
        ]
        if any(records):
            yield f"**{group.value}**"
        yield from (f"`{flags}`\n:   {_write(text)}" for flags, text in filter(None, records))


def _write(text: str) -> str:
    """Escape what Markdown would read as HTML or as a link."""
    return " ".join(text.replace("<", "&lt;").replace("[", "\\[").split())
