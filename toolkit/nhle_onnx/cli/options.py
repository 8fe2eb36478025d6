"""Click's options: those of a command's settings, and those for the program's behaviour."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from nhle_onnx.cli.groups import grouped_option
from nhle_onnx.cli.kinds import Choice, FilePath, FiniteRange
from nhle_onnx.hints import name_flag
from nhle_onnx.values.settings.groups import Group
from nhle_onnx.values.settings.option import OptionField, list_choices, list_options

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_PATH = FilePath(path_type=Path)
MODEL = click.argument("model", type=_PATH)
ALLOW_UNJUDGED = grouped_option(
    "--allow-unjudged",
    group=Group.LIMITS,
    is_flag=True,
    help="Exit with 0, not 6, if no gate failed but some could not be judged.",
)
JSON = grouped_option(
    "--json", "as_json", is_flag=True, group=Group.OUTPUT, help="Print one JSON document to stdout."
)


class Numbers(click.ParamType[tuple[float, ...]]):
    """Comma-separated numbers."""

    name = "numbers"

    def __init__(self, *, counts: tuple[int, ...], kind: type[float] | type[int] = float) -> None:
        self.counts = counts
        self.kind = kind

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Parse `0.5,0.5,0.5`, or a list from a configuration file."""
        parts = value if isinstance(value, list | tuple) else str(value).split(",")
        try:
            numbers = tuple(self.kind(part) for part in parts)
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers", param, ctx)
        if len(numbers) not in self.counts:
            allowed = " or ".join(map(str, self.counts))
            self.fail(f"{value!r} has {len(numbers)} numbers, not {allowed}", param, ctx)
        return numbers


class AutoOr(click.ParamType[float | None]):
    """`auto`, which becomes None, or a positive number."""

    def __init__(self, kind: type[int] | type[float]) -> None:
        self.kind = kind
        self.name = "auto"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """Parse `auto` or a number."""
        if value == "auto":
            return None
        try:
            number = self.kind(str(value))
        except ValueError:
            self.fail(f"{value!r} is neither 'auto' nor a number", param, ctx)
        if not 0 < number < float("inf"):
            self.fail(f"{value!r} is not positive", param, ctx)
        return number


def options_of(
    settings: type, *, names: Iterable[str] = (), requires: bool = True
) -> Callable[[Decorated], Decorated]:
    """Give a command the options of its settings, or of some fields.

    If `requires` is false, the command itself checks for missing options.
    """
    chosen = tuple(names)
    options = tuple(
        _make_option(field, is_required=requires and field.is_required)
        for field in list_options(settings)
        if not chosen or field.name in chosen
    )
    return lambda function: _apply(function, options)


def _make_option(field: OptionField, *, is_required: bool) -> Callable[..., Any]:
    option = field.option
    short = (f"-{option.short}",) if option.short else ()
    names = (*short, field.flag, field.name)
    if field.kind is bool:
        return grouped_option(*names, group=field.group, is_flag=True, help=option.help)
    default = _find_default(field)
    shown = {} if default is None else {"default": default}  # to click, None is a value too
    return grouped_option(
        *names,
        group=field.group,
        is_place=option.is_place,
        old=name_flag(option.old) if option.old else "",
        type=_find_type(field),
        multiple=field.item is not None,
        required=is_required,
        show_default=bool(shown),
        **shown,
        metavar=option.metavar or _name_value(field),
        otherwise=option.otherwise,
        help=option.help,
    )


def _find_default(field: OptionField) -> Any:
    """Return the default that click shows, or None."""
    if field.is_required or field.default in {None, ()}:
        return field.option.none or None
    return field.default


def _name_value(field: OptionField) -> str | None:
    """Name the value where it may also be a word, otherwise None."""
    number = "N" if field.kind is int else "X"
    return f"{field.option.none}|{number}" if field.option.none else None


def _find_type(field: OptionField) -> Any:
    """Return the click type of an option."""
    option, kind = field.option, field.item or field.kind
    if option.counts:
        return Numbers(counts=option.counts, kind=get_args(kind)[0])
    if option.none:
        return AutoOr(kind)
    if list_choices(kind):
        return Choice(list_choices(kind), option.aliases)
    if (option.at_least, option.at_most, option.above) != (None, None, None):
        span: Any = click.IntRange if kind is int else FiniteRange
        is_open = option.above is not None
        return span(option.above if is_open else option.at_least, option.at_most, min_open=is_open)
    return _PATH if kind is Path else kind


QUIET = grouped_option(
    "-q", "--quiet", is_flag=True, group=Group.OUTPUT, help="Show no progress and no notes."
)
_VERBOSITY_OPTIONS = (
    grouped_option("-v", "--verbose", is_flag=True, group=Group.OUTPUT, help="Show more detail."),
    QUIET,
)


def verbosity_options(function: Decorated) -> Decorated:
    """Add --verbose and --quiet to a command."""
    return _apply(function, _VERBOSITY_OPTIONS)


def _apply(function: Decorated, options: tuple[Callable[..., Any], ...]) -> Decorated:
    for option in reversed(options):
        function = option(function)
    return function
