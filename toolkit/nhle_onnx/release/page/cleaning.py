"""Reports whose text is safe to show: model paths and labels come from strangers."""

import dataclasses
from typing import Any

from nhle_onnx.text import to_printable


def clean(value: Any) -> Any:  # noqa: ANN401 - recursive over any value of ours
    """Return the same value with every text in it free of control characters."""
    if isinstance(value, str):
        return to_printable(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value) if field.init]
        return dataclasses.replace(value, **{name: clean(getattr(value, name)) for name in fields})
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(clean(item) for item in value)
    return value
