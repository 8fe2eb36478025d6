"""OpenVINO in ONNX Runtime's place: it reads the same files, and has kernels of its own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nhle_onnx.errors import DeviceUnavailableError
from nhle_onnx.values.cores import count_threads

NAME = "OpenVINO"

try:
    import openvino
except ImportError as error:
    _MESSAGE = "the runtime OpenVINO was asked for, but it is not installed"
    raise DeviceUnavailableError(
        _MESSAGE, remedy="In a clone of nhle-onnx: pip install '.[openvino]'"
    ) from error


class OpenVino:
    """A compiled model that runs as a session of ONNX Runtime does."""

    def __init__(self, source: str | bytes) -> None:
        """Compile a model, given as a path or as bytes, with the defaults of the CPU's plugin."""
        core = openvino.Core()
        core.set_property("CPU", {"INFERENCE_NUM_THREADS": count_threads()})
        self._compiled = core.compile_model(core.read_model(source), "CPU")

    def run(
        self,
        outputs: Sequence[str],
        feed: dict[str, npt.NDArray[np.generic]],
        _options: Any = None,  # noqa: ANN401 - ONNX Runtime's, which can stop a run
    ) -> list[npt.NDArray[np.generic]]:
        """Compute the named outputs."""
        found = self._compiled(feed)
        return [found[self._compiled.output(name)] for name in outputs]


def find_reason(error: Exception) -> str:
    """Find what an error of several lines says; in its summary, the reasons follow dashes."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reasons = [line.removeprefix("-- ") for line in lines if line.startswith("-- ")]
    return "; ".join(reasons) or lines[-1]
