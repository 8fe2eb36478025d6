"""Paths and numbers as click takes them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A range that refuses NaN, which no comparison with a limit would refuse."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse a number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class Choice(click.Choice[str]):
    """A choice of words, some with other names. Words with a number (`cuda:1`) are not listed."""

    def __init__(self, choices: Sequence[str], aliases: Mapping[str, str]) -> None:
        self.numbered = [word for word in choices if ":" in word]
        super().__init__([word for word in choices if word not in self.numbered])
        self.aliases = aliases

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse a word."""
        if value in self.numbered:
            return value
        return super().convert(self.aliases.get(value, value), param, ctx)


class FilePath(click.Path):
    """A path that is not empty, as an empty one would mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse a path."""
        if not str(value):
            self.fail("a path is empty", param, ctx)
        return super().convert(value, param, ctx)
