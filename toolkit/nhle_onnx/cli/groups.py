"""Help that lists options in groups."""

from collections.abc import Mapping
from typing import Any

import click


class GroupedOption(click.Option):
    """An option with a group and, perhaps, an old flag that stands for it. With `is_place`, its
    text may be a path.
    """

    def __init__(
        self,
        *arguments: Any,
        group: str = "",
        old: str = "",
        is_place: bool = False,
        **values: Any,
    ) -> None:
        super().__init__(*arguments, **values)
        self.group = group
        self.old = old
        self.is_place = is_place


def list_names(item: click.Parameter) -> list[str]:
    """List a parameter's flags, with the old one that stands for it."""
    return [*item.opts, *filter(None, [item.old if isinstance(item, GroupedOption) else ""])]


class GroupedCommand(click.Command):
    """A command whose help lists options in groups; those without a group come last."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read old flags as the new ones."""
        new = {item.old: item.opts[-1] for item in self.params if isinstance(item, GroupedOption)}
        return super().parse_args(ctx, [_rename(argument, new) for argument in args])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        rows: dict[str, list[tuple[str, str]]] = {}
        others: list[tuple[str, str]] = []
        for item in self.get_params(ctx):
            record = item.get_help_record(ctx) if isinstance(item, click.Option) else None
            if record and isinstance(item, GroupedOption):
                rows.setdefault(item.group or "Options", []).append(record)
            elif record:
                others.append(record)
        for group, records in {**rows, "Other options": others}.items():
            with formatter.section(group):
                formatter.write_dl(records)


def _rename(argument: str, new: Mapping[str, str]) -> str:
    """Return the new form of an old flag, and say so on stderr."""
    flag, equals, value = argument.partition("=")
    if not flag or flag not in new:
        return argument
    note_new_name(flag, new[flag])
    return f"{new[flag]}{equals}{value}"


def note_new_name(old: str, new: str) -> None:
    """Say on stderr that an option has a new name."""
    click.echo(f"note: {old} is now called {new}", err=True)
