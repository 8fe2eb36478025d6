"""The card, the versions, and the providers that really compute."""

import subprocess
from collections.abc import Iterator

import onnxruntime as ort
import torch

from benchmarks.cuda.place import Place, fail, judge, skip, tell
from nhle_onnx.runtime.native import CPU, CUDA
from nhle_onnx.runtime.providers import find_provider_fault, list_providers
from nhle_onnx.training.trial import find_device_fault
from studies.tables import Row

_QUERY = ("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
_GIB = 2**30
CARD = "card"


def list_facts(place: Place) -> Iterator[Row]:
    """List the card, the versions, and the providers that really compute."""
    yield tell("onnxruntime", f"{ort.__version__}, CUDA {getattr(ort, 'cuda_version', '?')}")
    yield tell("torch", f"{torch.__version__}, CUDA {torch.version.cuda}")
    if not place.is_dry:
        yield from _list_card()
    needed = CPU if place.is_dry else CUDA
    for name in list_providers():
        yield from _judge(name, find_provider_fault(name), is_needed=name == needed)
    yield from _judge(f"torch on {place.name}", find_device_fault(place.name), is_needed=True)


def find_gpu_fault() -> str | None:
    """Return why no step can run on a GPU here, or None."""
    return find_device_fault("cuda")


def _judge(name: str, fault: str | None, *, is_needed: bool) -> Iterator[Row]:
    if fault is None:
        yield judge(f"{name} computes", 1, "=", 1)
    else:
        yield fail(name, fault) if is_needed else skip(name, fault)


def _list_card() -> Iterator[Row]:
    card = torch.cuda.get_device_properties(0)
    yield tell(CARD, card.name)
    yield tell("compute capability", f"{card.major}.{card.minor}")
    yield tell("memory", f"{card.total_memory / _GIB:.1f} GiB")
    yield tell("cuDNN", torch.backends.cudnn.version())
    try:
        done = subprocess.run(_QUERY, check=True, capture_output=True, text=True, timeout=30)
        yield tell("nvidia-smi", done.stdout.strip())
    except (OSError, subprocess.SubprocessError) as error:
        yield skip("nvidia-smi", str(error))
