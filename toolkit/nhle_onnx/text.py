"""Text that is safe to print."""

_SUBSTITUTE = "\N{REPLACEMENT CHARACTER}"


def to_printable(text: str) -> str:
    """Text without control characters, which a file's names could smuggle into a terminal."""
    return "".join(mark if mark.isprintable() or mark == "\n" else _SUBSTITUTE for mark in text)
