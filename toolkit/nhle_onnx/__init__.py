"""Make a deployed ONNX image classifier forget a class, prove it, and ship the patched model.

The commands as functions, which take the flags as keywords and return what `--json` prints as
frozen values. Nothing but the standard library is imported until one of them is used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from nhle_onnx.errors import (
    DeviceUnavailableError,
    InputRefusedError,
    NhleOnnxError,
    TrainingDivergedError,
    UnsupportedModelError,
    UsageError,
)

if TYPE_CHECKING:
    from nhle_onnx.api.commands import audit, inspect, unlearn, verify
    from nhle_onnx.api.modules import unlearn_module
    from nhle_onnx.api.patches import apply_patch, create_patch

__version__ = "0.1.0"
__all__ = [
    "DeviceUnavailableError",
    "InputRefusedError",
    "NhleOnnxError",
    "TrainingDivergedError",
    "UnsupportedModelError",
    "UsageError",
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
    "apply_patch": "patches",
    "audit": "commands",
    "create_patch": "patches",
    "inspect": "commands",
    "unlearn": "commands",
    "unlearn_module": "modules",
    "verify": "commands",
}


class _Package(ModuleType):
    """Keeps `unlearn`, `verify` and `audit` functions: importing the packages of those names, which
    hold the steps, would else bind them here.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    function: object = getattr(import_module(f"{__name__}.api.{_HOMES[name]}"), name)
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return __all__
