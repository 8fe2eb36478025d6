"""Foreign JSON, read only where every reader understands the same."""

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - foreign JSON
    """Parse JSON that all readers understand in the same way. Raises ValueError for any other."""
    try:
        return json.loads(text, object_pairs_hook=refuse_repeats, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's entries. Raises ValueError for a repeated key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a repeated key")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
