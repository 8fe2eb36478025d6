"""ONNX Runtime sessions as a source of outputs, on a provider that truly runs."""

import ctypes
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import ModelProto

from nhle_onnx.errors import DeviceUnavailableError, InputRefusedError
from nhle_onnx.graph.tensors import MAX_PROTO_BYTES, measure_bytes
from nhle_onnx.values.preprocess import ImageInput

Provider = Literal["auto", "cpu", "cuda"]

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
# TF32 would blur the accuracy that the gates measure.
_OPTIONS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    _CPU: [(_CPU, {})],
    _CUDA: [(_CUDA, {"use_tf32": 0}), (_CPU, {})],
}
_FATAL = 4
_DRIVERS = ("libcuda.so.1", "nvcuda.dll")


@dataclass(frozen=True, slots=True)
class Session:
    """A model loaded by ONNX Runtime, with the provider that it really runs on."""

    native: ort.InferenceSession
    provider: str

    def run(
        self, output: str, images: npt.NDArray[np.float32], target: ImageInput, batch_size: int
    ) -> npt.NDArray[np.float32]:
        """One output for images [N, ...] that are prepared for `target`, as float32 [N, ...].

        Raises InputRefusedError where ONNX Runtime fails on them.
        """
        return self.run_several((output,), images, target, batch_size)[0]

    def run_several(
        self,
        outputs: Sequence[str],
        images: npt.NDArray[np.float32],
        target: ImageInput,
        batch_size: int,
    ) -> tuple[npt.NDArray[np.float32], ...]:
        """As `run`, for several outputs in one pass."""
        filled = _fill(images, target.batch) if target.batch else images
        batches = range(0, len(filled), target.batch or batch_size)
        try:
            parts = [
                self.native.run(
                    list(outputs),
                    {target.name: filled[start : start + batches.step].astype(target.dtype)},
                )
                for start in batches
            ]
        except Exception as error:  # ONNX Runtime's errors share no public base class
            message = f"ONNX Runtime failed on {self.provider}: {_first_line(error)}"
            raise InputRefusedError(message, remedy="Check the model with the images.") from error
        return tuple(
            np.concatenate(output).astype(np.float32, copy=False)[: len(images)]
            for output in zip(*parts, strict=True)
        )


def open_session(model: ModelProto, provider: Provider = "auto") -> Session:
    """Load a model on the provider asked for; `auto` is CUDA where it works, else the CPU.

    Raises DeviceUnavailableError where CUDA was asked for and ONNX Runtime came up without it
    (which it does silently), and InputRefusedError where it cannot load the model.
    """
    if measure_bytes(model) > MAX_PROTO_BYTES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            onnx.save_model(_copy(model), path, save_as_external_data=True, location="weights")
            return _open_source(str(path), provider)
    return _open_source(model.SerializeToString(), provider)


def _copy(model: ModelProto) -> ModelProto:
    """Saving with external data empties the tensors of the model that it is given."""
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def _open_source(source: str | bytes, provider: Provider) -> Session:
    if provider == "cpu" or (provider == "auto" and not has_cuda_driver()):
        return _open(source, _CPU)
    ort.set_default_logger_severity(_FATAL)  # else a missing CUDA library fills the terminal
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    session = _open(source, _CUDA if _CUDA in ort.get_available_providers() else _CPU)
    if provider == "cuda" and session.provider != _CUDA:
        message = f"CUDA was asked for, but ONNX Runtime started on {session.provider}"
        raise DeviceUnavailableError(
            message,
            remedy="Install onnxruntime-gpu with its CUDA and cuDNN libraries and an NVIDIA "
            "driver, or give --provider cpu.",
        )
    return session


def has_cuda_driver() -> bool:
    """Whether this machine has an NVIDIA driver at all; asks neither torch nor ONNX Runtime."""
    for name in _DRIVERS:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def _open(source: str | bytes, provider: str) -> Session:
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    try:
        native = ort.InferenceSession(source, options, providers=_OPTIONS[provider])
    except Exception as error:  # ONNX Runtime's errors share no public base class
        message = f"ONNX Runtime cannot load the model: {_first_line(error)}"
        raise InputRefusedError(message, remedy="Check it with onnx.checker.") from error
    return Session(native=native, provider=native.get_providers()[0])


def _fill(images: npt.NDArray[np.float32], batch: int) -> npt.NDArray[np.float32]:
    """Images up to a multiple of a batch size that the graph fixes, with the first repeated."""
    missing = -len(images) % batch
    return np.concatenate([images, np.repeat(images[:1], missing, axis=0)])


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
