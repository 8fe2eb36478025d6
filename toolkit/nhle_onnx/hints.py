"""Text that names options: as Python's keywords, or as flags of the command line."""

import re
from collections.abc import Iterable
from typing import Literal, Self

Wording = Literal["keywords", "flags"]
_PLACE = re.compile(r"\{(\w+)(?:=([^{}]*))?\}")


class Hint(str):
    """Text whose options are keywords; `flags` is the same text with flags."""

    __slots__ = ("flags",)
    flags: str

    def __new__(cls, keywords: str, flags: str) -> Self:
        """Take both wordings."""
        self = super().__new__(cls, keywords)
        self.flags = flags
        return self

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]  # str has one argument
        """Take both wordings to another process."""
        return (str(self), self.flags)


def hint(template: str, **values: object) -> Hint:
    """Word a text both ways.

    In the template `{lr}`, `{loss=saturating}` and `{force=True}` are options, by their keywords.
    The names in `values` stand for these values, which may be hints themselves.

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
    """A value as text, which stays a hint if it is one."""
    return value if isinstance(value, str) else str(value)


def word(text: str, wording: Wording) -> str:
    """Plain text in one wording."""
    return text.flags if wording == "flags" and isinstance(text, Hint) else str(text)


def word_all(texts: Iterable[str], wording: Wording) -> tuple[str, ...]:
    """Several texts, each in one wording."""
    return tuple(word(text, wording) for text in texts)


def name_flag(keyword: str) -> str:
    """An option on the command line."""
    return f"--{keyword.replace('_', '-')}"


def _write_flag(name: str, value: str | None) -> str:
    flag = name_flag(name)
    return flag if value in {None, "True"} else f"{flag} {value}"


def _write_keyword(name: str, value: str | None) -> str:
    """Words are quoted; numbers, True, and what stands for a value, as in FILE, are not."""
    if value is None:
        return f"{name}="
    if "|" in value:
        return f"{name}={' or '.join(map(_quote, value.split('|')))}"
    if value != "True" and any(map(str.islower, value)):
        return f"{name}={_quote(value)}"
    return f"{name}=({value.replace(',', ', ')})" if "," in value else f"{name}={value}"


def _quote(word: str) -> str:
    return f'"{word}"'
