"""Options as metadata of fields; they become flags on the command line and keywords in Python."""

import dataclasses
import types
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, MISSING, Field, dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from nhle_onnx.hints import name_flag
from nhle_onnx.values.settings.groups import Group


@dataclass(frozen=True, slots=True)
class Option:
    """How a field is offered to the user.

    `keyword` is its name where that differs from the field's, `old` a name that still works, with a
    note. Help lists it in its `group`, or else in that of the settings that it belongs to.
    `at_least`, `at_most` and `above` bound a number; `counts` says how many numbers a list may
    have. `none` is the word for None, and `otherwise` says what a default of None does. With
    `is_place`, the text may be a path. `aliases` are further words for some of the choices.
    """

    help: str
    _: KW_ONLY
    keyword: str = ""
    old: str = ""
    group: Group | None = None
    short: str = ""
    metavar: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    counts: tuple[int, ...] = ()
    none: str = ""
    otherwise: str = ""
    is_place: bool = False
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """In which group nested settings are offered."""

    group: Group | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionField:
    """An option with the name, type (without None) and default of its field."""

    option: Option
    name: str
    group: Group | None
    kind: Any
    is_optional: bool
    default: Any

    @property
    def keyword(self) -> str:
        """The option's name in Python."""
        return self.option.keyword or self.name

    @property
    def flag(self) -> str:
        """The option's name on the command line."""
        return name_flag(self.keyword)

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING

    @property
    def item(self) -> Any:  # noqa: ANN401 - any type
        """The type of each value where there may be several, otherwise None."""
        is_tuple = get_origin(self.kind) is tuple and not self.option.counts
        return get_args(self.kind)[0] if is_tuple else None


def list_options(settings: type, group: Group | None = None) -> Iterator[OptionField]:
    """List the options of settings and of nested settings, in the order of the fields."""
    for field in fields(settings):
        kind, marks = _split(field)
        if isinstance(kind, type) and is_dataclass(kind):
            nested = next((mark for mark in marks if isinstance(mark, Nested)), Nested())
            yield from list_options(kind, nested.group or group)
        for option in marks:
            if isinstance(option, Option):
                inner, is_optional = _split_none(kind)
                yield OptionField(
                    option=option,
                    name=field.name,
                    group=option.group or group,
                    kind=inner,
                    is_optional=is_optional,
                    default=field.default,
                )


def make_settings(settings: type, values: Mapping[str, Any], **given: Any) -> Any:  # noqa: ANN401
    """Make settings from option values by field name; `given` are other fields."""
    chosen = dict(given)
    for field in fields(settings):
        kind, marks = _split(field)
        if field.name in given:
            continue
        if isinstance(kind, type) and is_dataclass(kind):
            chosen[field.name] = make_settings(kind, values)
        elif field.name in values and any(isinstance(mark, Option) for mark in marks):
            chosen[field.name] = values[field.name]
    return settings(**chosen)


def list_choices(kind: Any) -> tuple[str, ...]:  # noqa: ANN401 - any type
    """List the words that a type allows, if it allows nothing else."""
    return get_args(kind) if get_origin(kind) is Literal else ()


def _split(field: Field[Any]) -> tuple[Any, tuple[Any, ...]]:
    """Return a field's type and its metadata."""
    if get_origin(field.type) is Annotated:
        kind, *marks = get_args(field.type)
        return kind, tuple(marks)
    return field.type, ()


def _split_none(kind: Any) -> tuple[Any, bool]:  # noqa: ANN401 - any type
    """Return a type without None, and whether it allowed None."""
    if get_origin(kind) not in {Union, types.UnionType}:
        return kind, False
    (inner,) = (part for part in get_args(kind) if part is not type(None))
    return inner, True
