"""Reports as JSON: the fields of the values, and the verdicts that follow from them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.text import escape_json
from nhle_onnx.values.report import TrainingStep

_V1, _V2 = "nhle-onnx/report/v1", "nhle-onnx/report/v2"
_TRAJECTORY = TypeAdapter(tuple[TrainingStep, ...])


def render_json(report: Any) -> str:  # noqa: ANN401 - any frozen value of ours
    """Write one JSON document: field names as keys, and `verdict` and `passed` if defined."""
    document = json.dumps(_to_plain(report), indent=2, ensure_ascii=False, allow_nan=False)
    return escape_json(document) + "\n"


# The field names of `nhle-onnx/report/v1`.
_OLD_NAMES = {
    "forgetting": "forget_loss",
    "keeping": "retain_loss",
    "parting": "alignment_loss",
    "lead": "forget_margin",
    "hardening": "adversarial_augmentation",
    "weight_grid": "weight_quant_params",
    "bias_grid": "bias_quant_params",
    "feature_grid": "feature_quant_params",
    "score_grid": "scores_quant_params",
    "score_limits": "score_quant_params",
}


def read_trajectory(document: dict[str, Any]) -> tuple[TrainingStep, ...]:
    """Read the course of training from a `report.json` of this or the previous version.

    Raises ValidationError, which is a ValueError, for an invalid document, and KeyError for one
    without training.
    """
    return _TRAJECTORY.validate_python(upgrade_report(document)["trajectory"])


def require_report_of(path: Path, document: Any, model: Path, sha256: str) -> None:  # noqa: ANN401 - JSON
    """Raise InputRefusedError where a `report.json` is of another edited model than this one."""
    edited = document.get("edited") if isinstance(document, dict) else None
    if not isinstance(edited, dict) or edited.get("sha256") != sha256:
        message = f"{path} is the report of another model than {model}: the digests differ"
        raise InputRefusedError(message, remedy="Give the .report.json that was written with it.")


def upgrade_report(document: dict[str, Any]) -> dict[str, Any]:
    """Return a `report.json` of any version with the current names."""
    if document.get("schema") != _V1:
        return document
    upgraded: dict[str, Any] = _rename(document)
    return upgraded | {"schema": _V2}


def _rename(value: Any) -> Any:  # noqa: ANN401 - recursive over any JSON
    if isinstance(value, dict):
        return {_OLD_NAMES.get(key, key): _rename(item) for key, item in value.items()}
    return [_rename(item) for item in value] if isinstance(value, list) else value


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
