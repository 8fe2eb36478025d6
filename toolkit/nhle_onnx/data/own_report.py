"""The report that was written with an edited model: it knows the labels and the preprocessing."""

import json
from pathlib import Path
from typing import Any

from nhle_onnx.values.model import OnnxModel

_MAX_BYTES = 2**26


def read_own_report(model: OnnxModel) -> tuple[Path, dict[str, Any]] | None:
    """The report beside a model, if it is of this very file; None for any other file there."""
    path = model.path.with_suffix(".report.json")
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return None
        document = json.loads(path.read_text("utf-8"))
        is_own = document["edited"]["sha256"] == model.sha256
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return (path, document) if is_own else None


def read_dropped(model: OnnxModel) -> tuple[int, ...]:
    """Return the classes that a model's own report says were dropped from it, in old numbers."""
    own = read_own_report(model)
    method, forget = (own[1].get(key) for key in ("method", "forget")) if own else (None, None)
    if not isinstance(method, dict) or not isinstance(forget, list):
        return ()
    if method.get("mask") != "drop" or method.get("method") == "nhle":
        return ()
    return tuple(index for index in forget if isinstance(index, int))
