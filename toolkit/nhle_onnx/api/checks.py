"""The options of the settings as keywords, with the same checks as on the command line."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AllowInfNan, Field, TypeAdapter, ValidationError

from nhle_onnx.api.keywords import Classes, StrPath
from nhle_onnx.errors import UsageError
from nhle_onnx.text import suggest
from nhle_onnx.values.settings.option import OptionField, list_options, make_settings


def list_keywords(settings: type) -> Iterator[OptionField]:
    """List the options that have a default; the others are separate arguments."""
    return (field for field in list_options(settings) if not field.is_required)


def find_type(field: OptionField) -> Any:  # noqa: ANN401 - any type
    """Return the type of a keyword, as type checkers see it."""
    kind = field.kind
    if field.option.aliases:
        word: Any = Literal[tuple(field.option.aliases)] | (field.item or kind)
        return word | tuple[word, ...] if field.item else word
    if kind is Path or field.option.is_place:
        kind = StrPath
    elif field.item:
        kind = field.item | kind
    return kind | None if field.is_optional else kind


def check_keywords(settings: type, given: Mapping[str, object]) -> dict[str, Any]:
    """Convert the given keywords. Raises UsageError for values that a flag would refuse."""
    known = {field.keyword: field for field in list_keywords(settings)}
    new = {field.option.old: keyword for keyword, field in known.items() if field.option.old}
    checked = {}
    for given_name, value in given.items():
        name = new.get(given_name, given_name)
        if name != given_name:
            warnings.warn(f"{given_name} is now called {name}", DeprecationWarning, stacklevel=4)
        if name not in known:
            near = suggest(name, known)
            raise _refuse(name, "there is no such keyword", near)
        try:
            checked[name] = _make_checker(known[name]).validate_python(value)
        except ValidationError as error:
            raise _refuse(name, error.errors(include_url=False)[0]["msg"]) from error
    return {name: value for name, value in checked.items() if value is not None}


def fill_settings(settings: type, values: Mapping[str, object], **given: object) -> Any:  # noqa: ANN401
    """Make settings from checked keywords; `given` are fields without a keyword."""
    fields = [field for field in list_options(settings) if field.keyword in values]
    by_field = {field.name: values[field.keyword] for field in fields}
    return make_settings(settings, by_field, **given)


def name_classes(forget: Classes) -> tuple[str, ...]:
    """Write one class or several as on the command line."""
    several = [forget] if isinstance(forget, int | str) else forget
    return tuple(map(str, several))


def _refuse(name: str, reason: str, near: str = "") -> UsageError:
    return UsageError(f"{name}: {reason}", remedy=f"{near}See help() of the function.")


def _make_checker(field: OptionField) -> TypeAdapter[Any]:
    """Make the function that converts a keyword's value to that of the settings."""
    return TypeAdapter(_bound(field) | None if field.is_optional else _bound(field))


def _bound(field: OptionField) -> Any:  # noqa: ANN401 - any type
    option, kind = field.option, field.kind
    if kind is Path or option.is_place:
        return Annotated[StrPath, AfterValidator(_to_path if kind is Path else _to_text)]
    if option.aliases:
        kind = Annotated[find_type(field), AfterValidator(_rename_by(option.aliases))]
        return Annotated[kind, AfterValidator(_to_several)] if field.item else kind
    if field.item:
        return Annotated[find_type(field), AfterValidator(_to_several)]
    if option.counts:
        return Annotated[kind, AfterValidator(_count_by(option.counts))]
    if kind in {int, float}:
        limits = {"ge": option.at_least, "le": option.at_most, "gt": option.above}
        given: dict[str, Any] = {key: limit for key, limit in limits.items() if limit is not None}
        return Annotated[kind, Field(**given), AllowInfNan(allow_inf_nan=False)]
    return kind


def _to_path(path: StrPath) -> Path:
    return Path(path)


def _to_text(path: StrPath) -> str:
    return str(path)


def _to_several(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


def _rename_by(aliases: Mapping[str, str]) -> Callable[[Any], Any]:
    def rename(value: Any) -> Any:  # noqa: ANN401 - a word, or several
        if isinstance(value, tuple):
            return tuple(map(rename, value))
        return aliases.get(value, value)

    return rename


def _count_by(counts: tuple[int, ...]) -> Callable[[tuple[float, ...]], tuple[float, ...]]:
    def check(numbers: tuple[float, ...]) -> tuple[float, ...]:
        if len(numbers) not in counts:
            raise ValueError(f"has {len(numbers)} numbers, not {' or '.join(map(str, counts))}")
        return numbers

    return check
