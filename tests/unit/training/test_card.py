"""What trains on a GPU leaves no tensor behind on the CPU, and computes the same.

A run on a real one is `python -m benchmarks cuda`; this needs none.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.numpy_helper import to_array

from nhle_onnx.api.commands import audit, unlearn
from nhle_onnx.auditing.detection import relearning
from nhle_onnx.workflows import attack_runs, training
from nhle_onnx.workflows.detection import attacks
from nhle_onnx.workflows.detection import training as detector_training
from studies.formats import FORMATS, Calibration, quantize
from support import ROOT
from support.card import CARD, card
from support.lenets import read_inputs
from support.shipped import LENET, SAMPLES, copy_sidecars

DETECTOR = ROOT / "models" / "yolo_tiny_fashion_scenes" / "model.onnx"
SCENES = ROOT / "calibration_samples" / "fashion_scenes"
SUBJECTS = {
    "a classifier": (LENET, SAMPLES, "Dress"),
    "integers": (None, SAMPLES, "Dress"),
    "a detector": (DETECTOR, SCENES, "Bag"),
}


def train_on_card(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_card(_device: str, seed: int) -> torch.device:
        torch.manual_seed(seed)
        return CARD

    for module in (training, detector_training, attack_runs):
        monkeypatch.setattr(module, "open_device", open_card)


def quantize_lenet(folder: Path) -> Path:
    copy_sidecars(folder)
    images = read_inputs()[0][:16]
    model = quantize(FORMATS["qdq-per-channel"], onnx.load(LENET), Calibration("image", images))
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def test_a_card_refuses_what_a_gpu_refuses() -> None:
    with card() as device:
        here, there = torch.ones(2, device=device), torch.ones(2)
        with pytest.raises(RuntimeError, match="found one of the CPU"):
            here + there
        assert (here + there.to(device)).device == device
        assert (here + there.to(device)).cpu().tolist() == [2.0, 2.0]


@pytest.mark.parametrize("name", list(SUBJECTS))
def test_forgetting_on_a_card_learns_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, samples, forget = SUBJECTS[name]
    model = given or quantize_lenet(tmp_path)
    settings: dict[str, Any] = {"samples": samples, "forget": forget, "steps": 2}
    places: dict[str, Any] = {"device": "cpu", "provider": "cpu"}
    on_cpu = unlearn(model, out=tmp_path / "cpu.onnx", **settings, **places)
    train_on_card(monkeypatch)
    with card():
        on_card = unlearn(model, out=tmp_path / "card.onnx", **settings, **places)
    pairs = zip(
        *(onnx.load(each.edited.path).graph.initializer for each in (on_cpu, on_card)), strict=True
    )
    for theirs, ours in pairs:  # torch may add up in another order
        np.testing.assert_allclose(*map(to_array, (ours, theirs)), rtol=1e-2, atol=1e-4)


def test_a_detector_is_attacked_on_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    train_on_card(monkeypatch)
    monkeypatch.setattr(relearning, "STEP_LIMIT", 1)
    monkeypatch.setattr(attacks, "ATTACKS", {"relearning": attacks.ATTACKS["relearning"]})
    places: dict[str, Any] = {"device": "cpu", "provider": "cpu"}
    with card():
        report = audit(
            DETECTOR, forget="Bag", baseline=DETECTOR, data=SCENES / "evaluation", **places
        )
    assert report.device == str(CARD)
