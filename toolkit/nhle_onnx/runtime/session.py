"""ONNX Runtime sessions that compute outputs, on a provider that truly works."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import ModelProto

from nhle_onnx.errors import DeviceUnavailableError, InputRefusedError, first_line
from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.scratch import open_scratch
from nhle_onnx.graph.tensors import MAX_PROTO_BYTES, measure_bytes
from nhle_onnx.hints import hint
from nhle_onnx.runtime.exact_sums import ENTRIES, make_exact
from nhle_onnx.runtime.kernels import may_saturate
from nhle_onnx.runtime.native import CPU, CUDA, open_native
from nhle_onnx.runtime.providers import has_cuda_driver, preload_cuda
from nhle_onnx.values.cores import count_threads
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.places import Provider, Runtime
from nhle_onnx.values.preprocess import ImageInput

# TF32 would blur the accuracy that the gates measure.
_OPTIONS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    CPU: [(CPU, {})],
    CUDA: [(CUDA, {"use_tf32": 0}), (CPU, {})],
}
Array = npt.NDArray[np.float32]
_Feed = dict[str, npt.NDArray[np.generic]]
_Outputs = list[npt.NDArray[np.generic]]
# ONNX Runtime's messages where the device is at fault, not the model: lost, or out of memory.
_DEVICE_FAULT = re.compile(
    r"CUDA (failure|error)|CUDNN|CUBLAS|CUFFT|out of memory|Failed to allocate memory|EP_FAIL",
    re.IGNORECASE,
)
_DEVICE_REMEDY = hint(
    "Free the device's memory, or give a smaller {batch_size}, or {provider=cpu}."
)


@dataclass(frozen=True, slots=True)
class Session:
    """A model loaded by ONNX Runtime, with the provider on which it actually runs, and how many
    threads may run it at a time.
    """

    native: ort.InferenceSession
    provider: str
    lanes: int = 1
    options: ort.RunOptions = field(default_factory=ort.RunOptions)

    def run(self, output: str, images: Array, target: ImageInput, batch_size: int) -> Array:
        """Compute one output for images [N, ...] that are prepared for `target`, as float32 [N,
        ...]. Raises InputRefusedError where ONNX Runtime fails on them, and DeviceUnavailableError
        where the device is the cause.
        """
        return self.run_several((output,), images, target, batch_size)[0]

    def run_several(
        self,
        outputs: Sequence[str],
        images: Array,
        target: ImageInput,
        batch_size: int,
    ) -> tuple[Array, ...]:
        """Do as `run`, for several outputs in one pass. Each output has one row for each image."""
        filled = _fill(images, target.batch) if target.batch else images
        size = target.batch or batch_size
        feeds = (
            {target.name: filled[start : start + size].astype(target.dtype, copy=False)}
            for start in range(0, len(filled), size)
        )
        run = _run_bound if self.provider == CUDA else _run
        try:
            parts = [run(self.native, list(outputs), feed, self.options) for feed in feeds]
        except Exception as error:  # ONNX Runtime's errors share no public base class
            message = f"ONNX Runtime failed on {self.provider}: {first_line(error)}"
            if self.provider == CUDA and _DEVICE_FAULT.search(str(error)):
                raise DeviceUnavailableError(message, remedy=_DEVICE_REMEDY) from error
            raise InputRefusedError(message, remedy="Check the model with the images.") from error
        joined = (_join(output, len(filled)) for output in zip(*parts, strict=True))
        return tuple(output.astype(np.float32, copy=False)[: len(images)] for output in joined)

    def stop(self) -> None:
        """Stop the run in progress on another thread at its next node, and any later run."""
        self.options.terminate = True


def open_session(
    model: ModelProto,
    provider: Provider = "auto",
    kernels: Kernels = "exact",
    *,
    lanes: int = 1,
    runtime: Runtime = "onnxruntime",
) -> Session:
    """Load a model on a provider; `auto` is CUDA where that works, otherwise the CPU. Another
    `runtime` than ONNX Runtime has no providers, and takes the model as it is.

    With exact `kernels`, sums of 8-bit products are the same on every processor. On the CPU,
    `lanes` share the threads that compute; a device takes one batch at a time. Raises
    DeviceUnavailableError where CUDA was asked for but ONNX Runtime silently started without it,
    and InputRefusedError where it cannot load the model.
    """
    entries: Mapping[str, str] = {}
    if runtime == "onnxruntime" and kernels == "exact" and may_saturate(model):
        model, entries = make_exact(model), ENTRIES
    load: Callable[[str | bytes], Session] = partial(
        _open_source, provider=provider, entries=entries, lanes=lanes
    )
    if runtime == "openvino":
        load = _open_openvino
    if measure_bytes(model) > MAX_PROTO_BYTES:
        with open_scratch() as folder:
            path = folder / "model.onnx"
            copied = copy_model(model)  # saving with external data empties the tensors
            onnx.save_model(copied, path, save_as_external_data=True, location="weights")
            return load(str(path))
    return load(model.SerializeToString())


def _open_source(
    source: str | bytes, provider: Provider, entries: Mapping[str, str], lanes: int
) -> Session:
    if provider == "cpu" or (provider == "auto" and not has_cuda_driver()):
        return _open(source, CPU, entries, lanes)
    preload_cuda()
    try:
        there = CUDA in ort.get_available_providers()
        session = _open(source, CUDA if there else CPU, entries, 1 if there else lanes)
    except DeviceUnavailableError:
        if provider == "cuda":
            raise
        return _open(source, CPU, entries, lanes)
    if provider == "cuda" and session.provider != CUDA:
        message = f"CUDA was asked for, but ONNX Runtime started on {session.provider}"
        raise DeviceUnavailableError(
            message,
            remedy=hint(
                "Install onnxruntime-gpu with its CUDA and cuDNN libraries and an NVIDIA "
                "driver, or give {provider=cpu}."
            ),
        )
    return session


def _open(source: str | bytes, provider: str, entries: Mapping[str, str], lanes: int) -> Session:
    threads = max(1, count_threads() // lanes) if lanes > 1 else None
    try:
        native = open_native(source, _OPTIONS[provider], entries, threads=threads)
    except Exception as error:  # ONNX Runtime's errors share no public base class
        message = f"ONNX Runtime cannot load the model: {first_line(error)}"
        if provider == CUDA and _DEVICE_FAULT.search(str(error)):
            raise DeviceUnavailableError(message, remedy=_DEVICE_REMEDY) from error
        raise InputRefusedError(message, remedy="Check it with onnx.checker.") from error
    return Session(native=native, provider=native.get_providers()[0], lanes=lanes)


def _open_openvino(source: str | bytes) -> Session:
    from nhle_onnx.runtime.openvino import NAME, OpenVino, find_reason  # noqa: PLC0415 - an extra

    try:
        return Session(native=OpenVino(source), provider=NAME)
    except Exception as error:  # OpenVINO's errors share no public base class
        message = f"{NAME} cannot load the model: {find_reason(error)}"
        raise InputRefusedError(message, remedy="Measure it with ONNX Runtime.") from error


def _join(batches: Sequence[npt.NDArray[np.generic]], images: int) -> npt.NDArray[np.generic]:
    """Join the outputs of all batches, if there is one row for each image."""
    rows = sum(len(np.atleast_1d(batch)) for batch in batches)
    if rows != images or len({batch.shape[1:] for batch in batches}) > 1:
        message = (
            f"the model computes {rows} rows for {images} images, but one for each image is needed"
        )
        raise InputRefusedError(message, remedy="Export it with the batch as its first axis.")
    return np.concatenate(batches)


def _run(
    native: ort.InferenceSession, outputs: list[str], feed: _Feed, options: ort.RunOptions
) -> _Outputs:
    results: _Outputs = native.run(outputs, feed, options)
    return results


def _run_bound(
    native: ort.InferenceSession, outputs: list[str], feed: _Feed, options: ort.RunOptions
) -> _Outputs:
    """Do as `_run`, moving inputs and outputs between host and device only once."""
    binding = native.io_binding()
    for name, images in feed.items():
        binding.bind_cpu_input(name, images)
    names = dict.fromkeys(outputs)  # a name that is bound twice is returned once
    for name in names:
        binding.bind_output(name)
    native.run_with_iobinding(binding, options)
    results = dict(zip(names, binding.copy_outputs_to_cpu(), strict=True))
    return [results[name] for name in outputs]


def _fill(images: Array, batch: int) -> Array:
    """Fill up images to a multiple of the graph's fixed batch size by repeating the first."""
    missing = -len(images) % batch
    return np.concatenate([images, np.repeat(images[:1], missing, axis=0)])
