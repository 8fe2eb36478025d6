"""Make a deployed ONNX image classifier forget a class, prove it, and ship the patched model.

Each command is also a function: it takes the flags as keywords and returns the contents of the JSON
output as a frozen value. Only the standard library is imported until one is used.
"""

import os
from importlib import import_module

from nhle_onnx.version import __version__

# ONNX Runtime may come with a telemetry client, which looks up hosts and writes files in the user's
# home as soon as it is imported. Afterwards nothing stops it; child processes inherit this.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Threads of OpenMP, which torch computes with, spin for milliseconds after each operation, and so
# take the cores from whatever else runs. This is how long GCC's wait where threads outnumber cores.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

TYPE_CHECKING = False  # the name that type checkers know; an import of typing takes milliseconds
if TYPE_CHECKING:
    from nhle_onnx.api.commands import audit, inspect, unlearn, verify
    from nhle_onnx.api.modules import unlearn_module
    from nhle_onnx.api.patches import apply_patch, create_patch
    from nhle_onnx.errors import (
        DeviceUnavailableError,
        InputRefusedError,
        NhleOnnxError,
        TrainingDivergedError,
        UnsupportedModelError,
        UsageError,
    )
    from nhle_onnx.values.audit import AuditReport
    from nhle_onnx.values.report import UnlearnReport, VerifyReport
    from nhle_onnx.values.summary import InspectReport

__all__ = [
    "AuditReport",
    "DeviceUnavailableError",
    "InputRefusedError",
    "InspectReport",
    "NhleOnnxError",
    "TrainingDivergedError",
    "UnlearnReport",
    "UnsupportedModelError",
    "UsageError",
    "VerifyReport",
    "__version__",
    "apply_patch",
    "audit",
    "create_patch",
    "inspect",
    "unlearn",
    "unlearn_module",
    "verify",
]

_HOMES = {
    "AuditReport": "values.audit",
    "DeviceUnavailableError": "errors",
    "InputRefusedError": "errors",
    "InspectReport": "values.summary",
    "NhleOnnxError": "errors",
    "TrainingDivergedError": "errors",
    "UnlearnReport": "values.report",
    "UnsupportedModelError": "errors",
    "UsageError": "errors",
    "VerifyReport": "values.report",
    "apply_patch": "api.patches",
    "audit": "api.commands",
    "create_patch": "api.patches",
    "inspect": "api.commands",
    "unlearn": "api.commands",
    "unlearn_module": "api.modules",
    "verify": "api.commands",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
