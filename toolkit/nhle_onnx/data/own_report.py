"""The report that was written with an edited model: it knows the labels and the preprocessing."""

import json
from pathlib import Path
from typing import Any

from nhle_onnx.graph.regular_files import read_text
from nhle_onnx.values.model import OnnxModel


def read_own_report(model: OnnxModel) -> tuple[Path, dict[str, Any]] | None:
    """The report beside a model, if it is of this very file; None for any other file there."""
    path = model.path.with_suffix(".report.json")
    try:
        document = json.loads(read_text(path))
        edited = document["edited"]
        stated = (edited["sha256"], edited.get("sidecars") or {})
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return (path, document) if stated == (model.sha256, dict(model.sidecars)) else None


def read_dropped(model: OnnxModel) -> tuple[int, ...]:
    """Return the classes that a model's own report says were dropped from it, in old numbers."""
    own = read_own_report(model)
    method, forget = (own[1].get(key) for key in ("method", "forget")) if own else (None, None)
    if not isinstance(method, dict) or not isinstance(forget, list):
        return ()
    if method.get("mask") != "drop" or method.get("method") == "nhle":
        return ()
    return tuple(index for index in forget if isinstance(index, int))
