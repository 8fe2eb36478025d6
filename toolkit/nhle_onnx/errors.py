"""Every error a user can cause. Each carries what is wrong, the remedy, and the exit code.

Texts that name options are hints, see `nhle_onnx.hints`.
"""

from typing import ClassVar


class NhleOnnxError(Exception):
    """Base of all errors that are the user's to mend; shown without a traceback."""

    exit_code: ClassVar[int] = 1

    def __init__(self, reason: str, *, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class TrainingDivergedError(NhleOnnxError):
    """Training left the finite numbers. Nothing is written."""


class UsageError(NhleOnnxError):
    """The command line asks for something impossible, such as a class out of range."""

    exit_code = 2


class InputRefusedError(NhleOnnxError):
    """A file is missing, unreadable, unsafe, or holds the wrong data; or an output exists."""

    exit_code = 3


class NotFiniteError(InputRefusedError):
    """A model, or what it is given, holds NaN or an infinity where only numbers can be judged."""


class UnsupportedModelError(NhleOnnxError):
    """The model is a valid one that this tool cannot edit; names every reason at once."""

    exit_code = 4


class DeviceUnavailableError(NhleOnnxError):
    """The provider or device that was asked for does not work here. Never a silent fallback."""

    exit_code = 5


class WorkerLostError(NhleOnnxError):
    """A process that did a part of the work died, each time that it was tried."""
