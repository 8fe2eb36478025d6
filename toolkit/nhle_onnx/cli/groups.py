"""Help that begins with an example, lists options in groups, and cuts nothing."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from nhle_onnx.cli.commands import Commands, summarize
from nhle_onnx.values.settings.groups import Group

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class GroupedOption(click.Option):
    """An option in a group of the help.

    `old` is an old flag that stands for it, and `otherwise` says what happens without it. With
    `is_place`, its text may be a path.
    """

    def __init__(
        self,
        *arguments: Any,
        group: Group,
        old: str = "",
        otherwise: str = "",
        is_place: bool = False,
        **values: Any,
    ) -> None:
        super().__init__(*arguments, **values)
        self.group = group
        self.old = old
        self.is_place = is_place
        self.otherwise = otherwise

    def make_metavar(self, ctx: click.Context) -> str:
        """Name the value: N for a whole number, X for another one."""
        if self.metavar is None and isinstance(self.type, click.IntRange | click.FloatRange):
            return "N" if isinstance(self.type, click.IntRange) else "X"
        return super().make_metavar(ctx)

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return what stands in brackets behind the text: default, range, whether it is needed."""
        extra = super().get_help_extra(ctx)
        if self.otherwise:
            extra["default"] = self.otherwise
        if isinstance(self.type, click.IntRange | click.FloatRange):
            extra["range"] = _describe_range(self.type)
        return extra


def _describe_range(span: click.IntRange | click.FloatRange) -> str:
    """Describe a range; an end that nobody reaches is not named."""
    low, high = span.min, span.max
    if low is None:
        return f"at most {high}"
    if high is None or high >= 2**63 - 1:
        return f"above {low}" if span.min_open else f"at least {low}"
    return f"above {low}, at most {high}" if span.min_open else f"{low} to {high}"


def grouped_option(*names: str, **values: Any) -> Callable[[Decorated], Decorated]:
    """Give a command an option of a group."""
    return click.option(*names, cls=GroupedOption, **values)


def list_names(item: click.Parameter) -> list[str]:
    """List a parameter's flags, with the old one that stands for it."""
    return [*item.opts, *filter(None, [item.old if isinstance(item, GroupedOption) else ""])]


class GroupedCommand(click.Command):
    """A command whose help begins with an example, if it has one, and lists options in groups."""

    def __init__(self, *arguments: Any, example: str = "", **values: Any) -> None:
        super().__init__(*arguments, **values)
        self.example = example

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read old flags as the new ones."""
        new = {item.old: item.opts[-1] for item in self.params if isinstance(item, GroupedOption)}
        return super().parse_args(ctx, [_rename(argument, new) for argument in args])

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage, and the example."""
        super().format_usage(ctx, formatter)
        if not self.example:
            return
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        rows: dict[Group, list[tuple[str, str]]] = {group: [] for group in Group}
        for item in self.get_params(ctx):
            record = item.get_help_record(ctx) if isinstance(item, click.Option) else None
            if record:
                rows[getattr(item, "group", Group.GENERAL)].append(record)
        for group, records in rows.items():
            if records:
                with formatter.section(group.value):
                    formatter.write_dl(records, col_max=formatter.width // 3)


class CommandGroup(GroupedCommand, click.Group):
    """Commands, with the whole first sentence of each."""

    command_class = GroupedCommand

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, and the options."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by what they are for."""
        width = max(map(len, self.list_commands(ctx)))
        for kind, names in self.list_kinds().items():
            rows = [(name.ljust(width), self._summarize(name)) for name in names]
            with formatter.section(kind):
                formatter.write_dl(rows)

    def _summarize(self, name: str) -> str:
        if isinstance(self.commands, Commands):
            return self.commands.summarize(name)
        return summarize(self.commands[name])

    def list_kinds(self) -> dict[str, list[str]]:
        """List the commands by what they are for, if they say so."""
        if isinstance(self.commands, Commands):
            return self.commands.list_kinds()
        return {"Commands": list(self.commands)}

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """List the commands in the usual order of use."""
        return list(self.commands)


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
