"""The programs' first lines: `python -m nhle_onnx` and the installed commands."""

# `signal` itself takes milliseconds to import
from _signal import (  # type: ignore[import-not-found]
    SIG_DFL,
    SIGINT,
    default_int_handler,
    getsignal,
    signal,
)


def start() -> None:
    """Run the program."""
    _end_on_interrupts()
    from nhle_onnx.cli.main import main

    main()


def start_hook() -> None:
    """Run the check for pre-commit."""
    _end_on_interrupts()
    from nhle_onnx.cli.hook import main

    main()


def _end_on_interrupts() -> None:
    """Let an interrupt end the process in silence: imports take a while, and hold nothing yet."""
    if getsignal(SIGINT) is default_int_handler:
        signal(SIGINT, SIG_DFL)


if __name__ == "__main__":
    start()
