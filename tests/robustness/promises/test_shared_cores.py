"""Threads that have nothing to do leave the cores to others."""

import os
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest

from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.workflows.classifier import open_classifier
from support.shipped import MOBILENET

_PAUSE_S = 0.1
_LEAST_S = 0.002  # of a processor, which sleeping takes no more than

_TORCH = f"""
import time
import nhle_onnx
import torch

used = []
for _ in range(3):
    torch.sigmoid(torch.ones(10**6))
    start = time.process_time()
    time.sleep({_PAUSE_S})
    used.append(time.process_time() - start)
print(min(used))
"""


def test_threads_of_torch_do_not_spin() -> None:
    """By themselves they do for 5 ms after each operation."""
    environment = {name: os.environ[name] for name in os.environ if "OMP" not in name}
    done = subprocess.run(
        [sys.executable, "-c", _TORCH], check=True, capture_output=True, text=True,
        env=environment | {"OMP_NUM_THREADS": "2"},
    )  # fmt: skip
    assert float(done.stdout) < _LEAST_S


def test_threads_of_onnx_runtime_do_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    classifier = open_classifier(MOBILENET, ModelFlags())
    target = classifier.image_input
    images = np.zeros((32, *target.sample_shape), np.float32)
    session = open_session(onnx.load(MOBILENET), "cpu")
    used = []
    for _ in range(3):
        session.run(classifier.head.output, images, target, 32)
        start = time.process_time()
        time.sleep(_PAUSE_S)
        used.append(time.process_time() - start)
    assert min(used) < _LEAST_S
