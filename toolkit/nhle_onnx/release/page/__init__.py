"""Reports as one HTML page for people. Slow to import (matplotlib): only where a page is made."""

from nhle_onnx.errors import InputRefusedError, first_line

try:
    import matplotlib as mpl  # noqa: F401 - reads settings, even of the folder one is in
except ValueError as error:
    raise InputRefusedError(
        f"matplotlib cannot be loaded: {first_line(error)}",
        remedy="Unset MPLBACKEND, and move a file matplotlibrc out of this folder.",
    ) from error
