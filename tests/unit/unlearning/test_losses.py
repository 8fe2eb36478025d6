"""To add a loss is one file, and its name among the choices."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal, get_args

import pytest
import torch

import nhle_onnx
from nhle_onnx.unlearning import losses
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import Loss
from support.shipped import LENET

TOY = '''
import torch
from nhle_onnx.unlearning.losses import ForgetLoss

def measure(logits, labels, **_):
    """The class's logit, and 1000."""
    return 1000 - (labels.clamp(max=0) * logits).sum(1).mean()

LOSS = ForgetLoss(measure, torch.optim.SGD)
'''


def test_every_choice_has_a_file() -> None:
    logits, labels = torch.tensor([[2.0, 1.0]]), torch.tensor([[-1.0, 1.0]])
    for name in get_args(Loss):
        assert losses.find_loss(name).measure(logits, labels, scale=1.0, margin=1.0) > 0


def test_a_loss_is_one_file_and_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ask = {"forget": 3, "method": "nhle", "loss": "plain-ascent", "lr": 1e-4, "steps": 1}
    with pytest.raises(nhle_onnx.UsageError, match="loss: Input should be 'saturating'"):
        nhle_onnx.unlearn(LENET, out=tmp_path / "edited.onnx", **ask)
    (tmp_path / "plain_ascent.py").write_text(TOY)
    monkeypatch.setattr(losses, "__path__", [*losses.__path__, str(tmp_path)])
    (field,) = (each for each in fields(UnlearnOptions) if each.name == "loss")
    option = get_args(field.type)[1]
    names = Annotated[Literal[Loss, "plain-ascent"], option]
    monkeypatch.setattr(field, "type", names)
    report = nhle_onnx.unlearn(LENET, out=tmp_path / "edited.onnx", **ask)
    assert report.trajectory[0].forget_loss > 1000
    assert report.method["optimizer"] == "SGD, rate 0.0001"
