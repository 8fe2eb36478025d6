"""`doctor` says what truly works, and never falls over."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort
import pytest
import torch

from nhle_onnx.runtime import providers
from nhle_onnx.runtime.native import CPU, CUDA
from nhle_onnx.runtime.providers import find_provider_fault, has_cuda_driver
from nhle_onnx.training.trial import find_device_fault
from nhle_onnx.values.cores import count_cores
from support.runs import Nhle

BROKEN_TORCH = """
import sys
sys.modules["torch"] = None
from nhle_onnx.cli.main import run
sys.exit(run(["doctor", "--json"]))
"""


def test_the_defaults_work(nhle: Nhle) -> None:
    result = nhle("doctor", "--json")
    assert result.code == 0
    report = json.loads(result.out)
    providers = {trial["name"]: trial for trial in report["providers"]}
    assert providers[CPU]["works"]
    assert set(providers) >= {CUDA, *ort.get_available_providers()}
    devices = {trial["name"]: trial for trial in report["devices"]}
    assert devices["cpu"]["works"]
    assert devices["cuda"]["works"] == torch.cuda.is_available()
    assert report["environment"]["torch"] == torch.__version__
    assert report["passed"]


def test_it_reads_well(nhle: Nhle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    result = nhle("doctor")
    assert f"provider {CPU}: works" in result.out
    assert "device   cpu: works" in result.out
    assert "zsh_source" in result.out
    assert result.out.endswith("PASSED\n")


@pytest.mark.skipif(has_cuda_driver(), reason="this machine has what must be missing here")
@pytest.mark.parametrize(
    ("flag", "place"), [("--provider", "cuda"), ("--device", "cuda"), ("--device", "cuda:1")]
)
def test_what_was_asked_for_and_does_not_work_is_an_exit_code(
    flag: str, place: str, nhle: Nhle
) -> None:
    result = nhle("doctor", flag, place)
    assert result.code == 5
    assert result.out.endswith("FAILED\n")
    assert "no NVIDIA driver" in result.out


def test_a_provider_that_computes_nonsense_does_not_work(
    nhle: Nhle, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonsense = [np.full((1, 1, 1, 1), 7, np.float32)]
    monkeypatch.setattr(ort.InferenceSession, "run", lambda *_: nonsense)
    result = nhle("doctor")
    assert result.code == 5
    assert f"{CPU}: it computes 7.0000" in result.out


def test_a_provider_that_does_not_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime itself only warns, and takes the CPU."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["OtherProvider", CPU])
    fallen = SimpleNamespace(get_providers=lambda: [CPU])
    monkeypatch.setattr(providers, "open_native", lambda *_: fallen)
    assert find_provider_fault("OtherProvider") == f"ONNX Runtime started on {CPU} instead"
    monkeypatch.setattr(providers, "has_cuda_driver", lambda: True)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.delattr(ort, "preload_dlls", raising=False)  # as before ONNX Runtime 1.21
    assert find_provider_fault(CUDA) == f"ONNX Runtime started on {CPU} instead"


def test_a_device_with_wrong_gradients_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_device_fault("cpu") is None
    monkeypatch.setattr(torch, "allclose", lambda *_, **__: False)
    assert find_device_fault("cpu") == "its gradients are wrong"


def test_cores_are_counted_on_every_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux knows those of this process; macOS and Windows, those of the machine."""
    assert 0 < count_cores() <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert count_cores() == os.cpu_count()


def test_a_broken_torch_is_a_finding() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN_TORCH], capture_output=True, text=True, check=False
    )
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    (device,) = json.loads(done.stdout)["devices"]
    assert device["fault"].startswith("torch cannot be imported")
