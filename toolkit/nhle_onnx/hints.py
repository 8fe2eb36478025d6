"""Text that names options, either as Python keywords or as command-line flags."""

import re
from collections.abc import Iterable
from typing import Literal, Self

Wording = Literal["keywords", "flags"]
_PLACE = re.compile(r"\{(\w+)(?:=([^{}]*))?\}")


class Hint(str):
    """Text that names options as keywords; `flags` is the same text with flags."""

    __slots__ = ("flags",)
    flags: str

    def __new__(cls, keywords: str, flags: str) -> Self:
        """Create the text from both wordings."""
        self = super().__new__(cls, keywords)
        self.flags = flags
        return self

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]  # str has one argument
        """Keep both wordings when pickled."""
        return (str(self), self.flags)


def hint(template: str, **values: object) -> Hint:
    """Write a text with keywords and with flags.

    In the template, `{lr}`, `{loss=saturating}` and `{force=True}` are options, named by keyword.
    Names in `values` are replaced by their values, which may themselves be hints.

    Examples:
        >>> text = hint("Give a smaller {lr}, or {loss=saturating}.")
        >>> print(text)
        Give a smaller lr=, or loss="saturating".
        >>> print(text.flags)
        Give a smaller --lr, or --loss saturating.
    """

    def fill(wording: Wording) -> str:
        def replace(found: re.Match[str]) -> str:
            name, value = found.groups()
            if name in values:
                return word(_to_text(values[name]), wording)
            return _write_flag(name, value) if wording == "flags" else _write_keyword(name, value)

        return _PLACE.sub(replace, template)

    return Hint(fill("keywords"), fill("flags"))


def _to_text(value: object) -> str:
    """Convert a value to text; a hint stays a hint."""
    return value if isinstance(value, str) else str(value)


def word(text: str, wording: Wording) -> str:
    """Return plain text in one wording."""
    return text.flags if wording == "flags" and isinstance(text, Hint) else str(text)


def word_all(texts: Iterable[str], wording: Wording) -> tuple[str, ...]:
    """Return several texts, each in one wording."""
    return tuple(word(text, wording) for text in texts)


def name_flag(keyword: str) -> str:
    """Return an option's flag."""
    return f"--{keyword.replace('_', '-')}"


def _write_flag(name: str, value: str | None) -> str:
    flag = name_flag(name)
    return flag if value in {None, "True"} else f"{flag} {value}"


def _write_keyword(name: str, value: str | None) -> str:
    """Write an option as a keyword; quote words, but not numbers, True or placeholders as FILE."""
    if value is None:
        return f"{name}="
    if "|" in value:
        return f"{name}={' or '.join(map(_quote, value.split('|')))}"
    if value != "True" and any(map(str.islower, value)):
        return f"{name}={_quote(value)}"
    return f"{name}=({value.replace(',', ', ')})" if "," in value else f"{name}={value}"


def _quote(word: str) -> str:
    return f'"{word}"'
