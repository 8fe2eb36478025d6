"""Reports as JSON: the fields of the values, and the verdicts they imply."""

import dataclasses
import json
from typing import Any

from nhle_onnx.text import escape_json


def render_json(report: Any) -> str:  # noqa: ANN401 - any frozen value of ours
    """One JSON document; the keys are the field names, and `verdict` and `passed` where a value has
    them.
    """
    document = json.dumps(_to_plain(report), indent=2, ensure_ascii=False, allow_nan=False)
    return escape_json(document) + "\n"


def _to_plain(value: Any) -> Any:  # noqa: ANN401 - recursive over any value
    if dataclasses.is_dataclass(value):
        plain = {
            field.name: _to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
        for verdict in ("verdict", "passed"):
            if hasattr(value, verdict):
                plain[verdict] = getattr(value, verdict)
        return plain
    if isinstance(value, dict):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_to_plain(item) for item in value]
    return value
