"""The device that torch trains on: one that truly works, or an error."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nhle_onnx.errors import DeviceUnavailableError, first_line
from nhle_onnx.hints import hint
from nhle_onnx.values.places import Device


def open_device(device: Device, seed: int) -> torch.device:
    """Seed torch and return the device asked for, which computes the same each time.

    `auto` is CUDA where a small computation on it succeeds, else the CPU. Raises
    DeviceUnavailableError where CUDA was asked for and does not work.
    """
    torch.manual_seed(seed)
    if device == "cpu":
        return torch.device("cpu")
    # read when cuBLAS starts; without it, its products may differ from run to run
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    chosen = torch.device("cuda" if device == "auto" else device)
    reason = _find_cuda_fault(chosen)
    if reason is None:
        # the CPU's algorithms are deterministic as they are; asking costs a second of imports
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        return chosen
    if device == "auto":
        return torch.device("cpu")
    message = f"training on {chosen} was asked for, but torch {torch.__version__} cannot: {reason}"
    raise DeviceUnavailableError(
        message,
        remedy=hint("Install a CUDA build of torch and an NVIDIA driver, or give {device=cpu}."),
    )


@contextmanager
def explain_device_faults() -> Iterator[None]:
    """Raise DeviceUnavailableError where a device fails in the middle of work: it was lost, or its
    memory is full.
    """
    try:
        yield
    except (torch.OutOfMemoryError, torch.AcceleratorError) as error:
        message = f"training failed on the device: {first_line(error)}"
        raise DeviceUnavailableError(
            message, remedy=hint("Free the device's memory, or give {device=cpu}.")
        ) from error


def _find_cuda_fault(device: torch.device) -> str | None:
    """Find why a CUDA device does not work here, or None if it does."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count <= (device.index or 0):
        return f"it finds {count or 'no'} CUDA device{'s' if count > 1 else ''}"
    try:
        image = torch.ones(1, 1, 4, 4, device=device)
        torch.nn.functional.conv2d(image, image[:, :, :2, :2]).sum().item()
    except RuntimeError as error:
        return first_line(error)
    return None
