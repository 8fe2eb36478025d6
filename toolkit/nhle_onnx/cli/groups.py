"""Help that lists options in groups."""

from typing import Any

import click


class GroupedOption(click.Option):
    """An option with a group."""

    def __init__(self, *arguments: Any, group: str = "", **values: Any) -> None:
        super().__init__(*arguments, **values)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help lists options in groups; those without a group come last."""

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
