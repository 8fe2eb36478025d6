"""Signals that ask this process to end: they become exceptions, where these do no harm."""

import os
import signal
import sys
import time
from types import FrameType

_SOON_S = 0.01
_GRACE_S = 10.0  # to end in; later, a library must have swallowed the request
_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
# An exception within an extension module's first lines is a crash; one within `tempfile`, between
# the making of a file and the promise to remove it, leaves the file.
_INDIVISIBLE = frozenset({"importlib._bootstrap", "_frozen_importlib", "tempfile"})


_raised: list[BaseException] = []


class Terminated(BaseException):
    """A signal asks this process to end, which it does after removing what it left for a while."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.raised_s = time.monotonic()


def take_signals() -> None:
    """Handle the signals that would end this process; others stay ignored, as its parent wants."""
    for number in _SIGNALS:
        if signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, _heed)


def leave_signals() -> None:
    """Let signals end this process again: its outputs are in place, or removed."""
    for number in _SIGNALS:
        if signal.getsignal(number) is _heed:
            signal.signal(number, signal.SIG_DFL)
    _raised.clear()


def find_request(error: BaseException) -> BaseException:
    """Return the signal behind an error, or the error itself. Extension modules turn what is raised
    into an error of their own, some without its cause.
    """
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    signals = [each for each in causes if isinstance(each, KeyboardInterrupt | Terminated)]
    return next(iter([*signals, *_raised]), error)


def _heed(number: int, frame: FrameType | None) -> None:
    """Raise, once the modules that must not be disturbed have done their work. A request to end
    that is repeated soon changes nothing; a repeated interrupt does.
    """
    if number != signal.SIGINT and _is_ending():
        return
    if _is_indivisible(frame):
        _send_again(number)
    else:
        _raised.append(KeyboardInterrupt() if number == signal.SIGINT else Terminated(number))
        raise _raised[-1]


def _is_ending() -> bool:
    """Whether a request to end was raised a moment ago, which may still remove files."""
    requests = [each for each in _raised if isinstance(each, Terminated)]
    return bool(requests) and time.monotonic() - requests[-1].raised_s < _GRACE_S


def _is_indivisible(frame: FrameType | None) -> bool:
    while frame and frame.f_globals.get("__name__") not in _INDIVISIBLE:
        frame = frame.f_back
    return frame is not None


def repeat_signal(lost: "sys.UnraisableHookArgs") -> None:
    """Send a signal again that came where nothing can be raised, such as in `__del__`."""
    request = lost.exc_value
    if isinstance(request, KeyboardInterrupt | Terminated):
        _raised[:] = [each for each in _raised if each is not request]  # nobody heeded it
        _send_again(getattr(request, "number", signal.SIGINT))
    else:
        sys.__unraisablehook__(lost)


def _send_again(number: int) -> None:
    from threading import Timer  # seldom needed

    Timer(_SOON_S, os.kill, (os.getpid(), number)).start()
