"""Text that is safe to print, and how numbers and classes are written wherever they are shown."""

import json

_SUBSTITUTE = "\N{REPLACEMENT CHARACTER}"


def to_printable(text: str) -> str:
    """Text without control characters, which a file's names could smuggle into a terminal."""
    return "".join(mark if mark.isprintable() or mark == "\n" else _SUBSTITUTE for mark in text)


def to_line(text: str) -> str:
    """Printable text on one line: a name with line breaks could pass for messages of ours."""
    return to_printable(" ".join(text.splitlines()))


def escape_json(document: str) -> str:
    """A JSON document with what cannot be printed in it as escapes, which are the same to JSON."""
    return "".join(
        mark if mark.isprintable() or mark == "\n" else json.dumps(mark)[1:-1] for mark in document
    )


def format_number(value: float | None) -> str:
    """A count as it is, any other number with four digits; a dash where nothing was measured."""
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def format_capped(value: float | None, cap: float | None) -> str:
    """A number; one beyond its cap was never reached."""
    if value is not None and cap is not None and value > cap:
        return f"> {cap:g}"
    return format_number(value)


def name_class(index: int, label: str) -> str:
    """A class by its index and label, on one line."""
    name = str(index) if label == str(index) else f"{index} {label}"
    return " ".join(to_printable(name).split())
