"""The options of the settings as keywords, with the same checks as on the command line.

The classes here only give names and types to type checkers and editors. Values, meanings and
defaults are declared in the settings alone; a test compares both.
"""

import inspect
import textwrap
import warnings
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, TypeVar

from pydantic import AfterValidator, AllowInfNan, Field, TypeAdapter, ValidationError

from nhle_onnx.errors import UsageError
from nhle_onnx.text import suggest
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.places import Device, OrtProvider, Provider, Runtime
from nhle_onnx.values.preprocess import ChannelOrder, Layout
from nhle_onnx.values.request import Effort, Loss, Mask, Method, Scope
from nhle_onnx.values.settings.option import (
    OptionField,
    list_choices,
    list_options,
    make_settings,
)

StrPath = str | PathLike[str]
Classes = int | str | Sequence[int | str]
Function = TypeVar("Function", bound=Callable[..., Any])

_WIDTH = 100


class ModelKeywords(TypedDict, total=False):
    """How images become the model's input, and where its scores are. None means not given."""

    graph_output: str | None
    input: str | tuple[str, ...]
    labels: StrPath | None
    preprocess: StrPath | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    size: tuple[int, int] | None
    layout: Layout | None
    range: tuple[float, float] | None
    channels: ChannelOrder | None
    resize: Literal["squash", "shortest", "longest"] | None
    crop_pct: float | None
    resample: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] | None
    max_elements: int


class InspectKeywords(ModelKeywords, total=False):
    """The keywords of `inspect`."""

    data: StrPath | None


class RunKeywords(ModelKeywords, total=False):
    """Keywords of every command that runs a model."""

    max_acc_f: float
    max_acc_r_drop: float
    max_uncertainty: float
    batch_size: int
    kernels: Kernels


class TuningKeywords(RunKeywords, total=False):
    """How `unlearn` works; if None, `lr` and `steps` are derived from the samples."""

    samples_per_class: int
    data: StrPath | None
    method: Method
    loss: Loss
    anchors: StrPath
    scope: Scope
    mask: Mask
    lr: float | None
    steps: int | None
    effort: Effort
    force_unknown: bool
    provider: Provider | OrtProvider
    device: Device
    seed: int
    report: StrPath | None
    report_images: int
    bom: StrPath | None
    also: Literal["ort"] | tuple[Literal["ort"], ...]
    force: bool


class UnlearnKeywords(TuningKeywords, total=False):
    """The keywords of `unlearn`."""

    samples: StrPath | None
    out: StrPath | None


class VerifyKeywords(RunKeywords, total=False):
    """The keywords of `verify`; the first provider is compared with the baseline."""

    baseline: StrPath | None
    engine: str
    jobs: int | None
    report: StrPath | None
    report_images: int
    force: bool
    provider: Provider | OrtProvider | tuple[Provider | OrtProvider, ...]
    runtime: Runtime


class AuditKeywords(RunKeywords, total=False):
    """The keywords of `audit`."""

    patch: StrPath | None
    effort: Effort
    shadows: int | None
    reference: StrPath | None
    members: StrPath | None
    report: StrPath | None
    report_images: int
    unlearn_report: StrPath | None
    repeats: int
    provider: Provider | OrtProvider
    device: Device
    seed: int
    force: bool


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


def documented(settings: type, without: Container[str] = ()) -> Callable[[Function], Function]:
    """Describe each keyword in a function's docstring."""

    def extend(function: Function) -> Function:
        text = inspect.getdoc(function) or ""  # `python -OO` removes it
        before, examples, after = text.partition("\nExamples:")
        fields = (field for field in list_keywords(settings) if field.keyword not in without)
        section = "\n".join(["\nKeyword arguments:", *map(_describe, fields)])
        function.__doc__ = f"{before.rstrip()}\n{section}\n{examples}{after}"
        return function

    return extend


def name_classes(forget: Classes) -> tuple[str, ...]:
    """Write one class or several as on the command line."""
    several = [forget] if isinstance(forget, int | str) else forget
    return tuple(map(str, several))


def render_call(function: str, **given: object) -> str:
    """Write the call for a report, in place of a command line."""
    shown = {name: str(value) if isinstance(value, PathLike) else value
             for name, value in given.items()}  # fmt: skip
    arguments = ", ".join(f"{name}={value!r}" for name, value in shown.items())
    return f"nhle_onnx.{function}({arguments})"


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


def _describe(field: OptionField) -> str:
    """Write a docstring entry: name, meaning, choices and default."""
    option = field.option
    choices = ", ".join(f'"{word}"' for word in list_choices(field.item or field.kind))
    default = option.otherwise or (f"None, for {option.none}" if option.none else field.default)
    parts = (
        option.help,
        choices and f"One of {choices}.",
        "" if default in {None, ()} else f"Default: {default}.",
    )
    text = f"{field.keyword}: {' '.join(filter(None, parts))}"
    return textwrap.fill(
        text,
        _WIDTH - 4,
        initial_indent="    ",
        subsequent_indent="        ",
        break_on_hyphens=False,
    )
