"""Every error that a user can cause. Each has a reason, a remedy and an exit code.

Texts that name options are hints, see `nhle_onnx.hints`.
"""

from typing import ClassVar

DETECTOR_REMEDY = (
    "inspect, unlearn, verify, audit, diff, patch, sign, kit, view, push, dossier and fleet take "
    "detectors."
)


class NhleOnnxError(Exception):
    """Base of all errors that the user can correct; shown without a traceback.

    Exit code 1 belongs to failed gates alone. 70, that of the base, stands for a bug.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, reason: str, *, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class TrainingDivergedError(NhleOnnxError):
    """Training produced NaN or infinities. Nothing is written."""

    exit_code = 3


class UsageError(NhleOnnxError):
    """The command line asks for something impossible, such as a class out of range."""

    exit_code = 2


class InputRefusedError(NhleOnnxError):
    """A file is missing, unreadable, unsafe, or holds the wrong data; or an output exists."""

    exit_code = 3


def refuse_unreadable(path: object, error: Exception, remedy: str) -> InputRefusedError:
    """Return the error for a file or folder that cannot be read, in the system's words."""
    return InputRefusedError(f"{path} cannot be read: {describe_error(error)}", remedy=remedy)


def describe_error(error: Exception) -> str:
    """Describe an error without its number and file name."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, or its type's name if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class NotFiniteError(InputRefusedError):
    """A model or its input holds NaN or an infinity, so it cannot be judged."""


class UnsupportedModelError(NhleOnnxError):
    """The model is valid, but this tool cannot edit it; the message names every reason at once."""

    exit_code = 4


class DeviceUnavailableError(NhleOnnxError):
    """The requested provider or device does not work here. There is no silent fallback."""

    exit_code = 5


class WorkerLostError(NhleOnnxError):
    """A process that did part of the work died at every attempt."""

    exit_code = 5
