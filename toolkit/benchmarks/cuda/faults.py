"""Failures during work: full memory and a lost card. The card itself comes to no harm.

Memory is filled by plain allocations, which are freed when the step's process ends, and only the
CUDA context of that process is broken.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.cuda.inference import EVALUATION, MODELS, SAMPLES, find_model
from benchmarks.cuda.place import Place, fail, judge, skip, tell
from nhle_onnx.api.commands import unlearn
from nhle_onnx.errors import DeviceUnavailableError
from nhle_onnx.runtime.session import open_session
from nhle_onnx.training.device import explain_device_faults
from nhle_onnx.values.detection import DetectionReport
from nhle_onnx.values.report import UnlearnReport
from studies.results import ROOT
from studies.tables import Row, write_met

_MODEL = ROOT / "models" / MODELS[0] / "model.onnx"
_LEFT = 64 * 2**20  # bytes of the card that stay free
_FEW = 5e-4  # share of the card's memory that training gets, which is too little
_MANY = 40_000  # images, whose activations need more memory than is free
_CODE = DeviceUnavailableError.exit_code


def fill_memory(place: Place) -> Iterator[Row]:
    """Hide the card, or fill its memory; check the error, and that work goes on afterwards."""
    yield from _hide_card(place)
    if place.is_dry:
        yield skip("full memory", "a dry run")
        return
    yield from _fill_training()
    yield from _fill_inference()


def lose_card(place: Place) -> Iterator[Row]:
    """Break CUDA's context during work, as a lost card does, and check the error."""
    if place.is_dry:
        yield skip("a lost card", "a dry run")
        return
    yield from _break_context()


def _hide_card(place: Place) -> Iterator[Row]:
    """Hide the card from the program: it must say so, and `auto` must go on without a card."""
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(_MODEL), "--forget", "3", "--quiet"]
        data = ["--data", str(EVALUATION)]
        out = ["--samples", str(SAMPLES), "--out", str(Path(folder) / "new.onnx")]
        verify, train = ["verify", *arguments, *data], ["unlearn", *arguments, *out]
        runs = (
            ("verify on a hidden card", [*verify, "--provider", "cuda"], _CODE),
            ("verify by `auto`", [*verify, "--provider", "auto"], 1),  # it remembers the class
            ("unlearn on a hidden card", [*train, "--device", "cuda"], _CODE),
        )
        for name, command, code in runs[: place.choose(3, 1)]:
            yield judge(f"{name}: exit code", _run(command, hidden), "=", code)


def _fill_training() -> Iterator[Row]:
    torch.cuda.set_per_process_memory_fraction(_FEW)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "new.onnx"

        def train() -> UnlearnReport | DetectionReport:
            return unlearn(
                ROOT / "models" / MODELS[1] / "model.onnx", forget=3, samples=SAMPLES,
                provider="cpu", device="cuda", out=out,
            )  # fmt: skip

        yield _expect("training with full memory", train)
        yield judge("files it left", len(list(Path(folder).iterdir())), "=", 0)
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
        yield judge("training afterwards: passed", int(train().passed), "=", 1)


def _fill_inference() -> Iterator[Row]:
    classifier = find_model(MODELS[1])
    output, target = classifier.head.output, classifier.image_input
    session = open_session(classifier.model.proto, "cuda")
    few = np.zeros((4, *target.sample_shape), np.float32)
    many = np.zeros((_MANY, *target.sample_shape), np.float32)
    expected = session.run(output, few, target, len(few))
    held = _take_memory()
    yield tell("memory left, MiB", torch.cuda.mem_get_info()[0] / 2**20)
    yield _expect(
        "inference with full memory", lambda: session.run(output, many, target, len(many))
    )
    held.clear()
    torch.cuda.empty_cache()
    again = session.run(output, few, target, len(few))
    yield judge("answers afterwards: difference", float(np.abs(again - expected).max()), "≤", 1e-4)


def _break_context() -> Iterator[Row]:
    """Fail an assertion on the device, after which CUDA refuses everything to this process."""
    classifier = find_model(MODELS[0])
    output, target = classifier.head.output, classifier.image_input
    session = open_session(classifier.model.proto, "cuda")
    images = np.zeros((4, *target.sample_shape), np.float32)
    session.run(output, images, target, len(images))

    def overrun() -> None:
        with explain_device_faults():
            torch.zeros(4, device="cuda")[torch.tensor([9], device="cuda")].cpu()

    yield _expect("training on a lost card", overrun)
    yield _expect(
        "inference on a lost card", lambda: session.run(output, images, target, len(images))
    )


def _take_memory() -> list[torch.Tensor]:
    """Take nearly all of the card's memory, in plain allocations."""
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    return [torch.empty(max(free - _LEFT, 1), dtype=torch.uint8, device="cuda")]


def _expect(name: str, work: Callable[[], object]) -> Row:
    """Expect the error that says that the device is at fault."""
    try:
        work()
    except DeviceUnavailableError as error:
        return tell(name, f"refused: {error}") | {"limit": "refused", "met": write_met(met=True)}
    except Exception as error:  # noqa: BLE001 - any other error is a finding
        return fail(name, f"{type(error).__name__}: {error}")
    return fail(name, "went on, without an error")


def _run(arguments: list[str], environment: dict[str, str]) -> int:
    command = [sys.executable, "-m", "nhle_onnx", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, env=environment, timeout=120)
    return done.returncode
