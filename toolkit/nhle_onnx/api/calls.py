"""A call as people read it: in `help()`, and in a report in place of a command line."""

import inspect
import textwrap
from collections.abc import Callable, Container
from os import PathLike
from typing import Any, TypeVar

from nhle_onnx.api.checks import list_keywords
from nhle_onnx.values.settings.option import OptionField, list_choices

Function = TypeVar("Function", bound=Callable[..., Any])

_WIDTH = 100


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


def render_call(function: str, **given: object) -> str:
    """Write the call for a report, in place of a command line."""
    shown = {name: str(value) if isinstance(value, PathLike) else value
             for name, value in given.items()}  # fmt: skip
    arguments = ", ".join(f"{name}={value!r}" for name, value in shown.items())
    return f"nhle_onnx.{function}({arguments})"


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
