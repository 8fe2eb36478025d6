"""Text that is safe to print, and the format of numbers and classes everywhere."""

import json
from collections.abc import Iterable, Sequence

_NEAR = 3
_SUBSTITUTE = "\N{REPLACEMENT CHARACTER}"


def to_printable(text: str) -> str:
    """Replace control characters, which names in a file could smuggle into a terminal."""
    return "".join(mark if mark.isprintable() or mark == "\n" else _SUBSTITUTE for mark in text)


def to_line(text: str) -> str:
    """Make printable text on one line: a name with line breaks could imitate our messages."""
    return to_printable(" ".join(text.splitlines()))


def escape_json(document: str) -> str:
    """Escape unprintable characters of a JSON document, which does not change its meaning."""
    return "".join(
        mark if mark.isprintable() or mark == "\n" else json.dumps(mark)[1:-1] for mark in document
    )


def format_number(value: float | None) -> str:
    """Write a count unchanged, any other number with four digits, and a dash for no measurement."""
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def format_percent(share: float, decimals: int = 0) -> str:
    """Write a share in percent."""
    return f"{100 * share:.{decimals}f} %"


def format_capped(value: float | None, cap: float | None) -> str:
    """Write a number; one beyond its cap was never reached."""
    if value is not None and cap is not None and value > cap:
        return f"> {cap:g}"
    return format_number(value)


def name_class(index: int, label: str) -> str:
    """Write a class's index and label, on one line."""
    name = str(index) if label == str(index) else f"{index} {label}"
    return " ".join(to_printable(name).split())


def name_forgotten(labels: Sequence[str], forget: Iterable[int]) -> str:
    """Write the forgotten classes by index and label."""
    return ", ".join(name_class(index, labels[index]) for index in forget)


def suggest(name: str, known: Iterable[str]) -> str:
    """Write `Did you mean ...? ` with the known names that are spelled alike, or nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 - slow to import, and seldom needed

    spellings = {each.casefold(): each for each in known}
    near = get_close_matches(name.strip().casefold(), spellings, n=_NEAR)
    return f"Did you mean {' or '.join(spellings[each] for each in near)}? " if near else ""


def describe_node(op_type: str, name: str, outputs: Iterable[str]) -> str:
    """Name a node of a graph by its operator and name or, without a name, by what it computes."""
    return f"{op_type} {name}" if name else f"the {op_type} that computes {', '.join(outputs)}"


def explain_lost(part: str, index: int) -> str:
    """Say why a class's row or channel could not be put back."""
    return (
        f"the baseline's {part} of class {index} does not fit the scale that quantization gave "
        "the masked one, so it cannot be put back: judge the file before quantization"
    )
