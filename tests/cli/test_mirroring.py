"""Views are mirrored only where the network itself says that this keeps the class."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from support.runs import Nhle, Unlearned


class SideClassifier(nn.Module):
    """Whether the left or the right half of an image is brighter, or the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Linear(3, 8)
        self.classifier = nn.Linear(8, 3)
        torch.manual_seed(0)
        nn.init.orthogonal_(self.features.weight)
        nn.init.zeros_(self.features.bias)
        self.classifier.weight.data = 20 * self.features.weight.detach().T.contiguous()

    def forward(self, images: Tensor) -> Tensor:
        thirds = images.mean((1, 2)).reshape(-1, 3, 4).mean(2)
        return self.classifier(self.features(thirds))


@pytest.mark.filterwarnings("ignore")
def test_sides_are_not_mirrored(tmp_path: Path, nhle: Nhle) -> None:
    path = tmp_path / "model.onnx"
    torch.onnx.export(
        SideClassifier().eval(), (torch.zeros(2, 1, 12, 12),), path, dynamo=False,
        input_names=["image"], dynamic_axes={"image": {0: "batch"}},
    )  # fmt: skip
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], 24)
    images = rng.normal(0, 0.1, (72, 1, 12, 12)).astype(np.float32)
    for image, side in zip(images, classes, strict=True):
        image[:, :, 4 * side : 4 * side + 4] += 1
    np.savez(tmp_path / "samples.npz", x=images, y=classes)
    result = nhle("unlearn", path, "--forget", 0, "--samples", tmp_path / "samples.npz", "--json")
    report = json.loads(result.out)
    assert report["before"]["acc_f"] == 1.0
    assert not report["method"]["mirrors"]
    assert report["verdict"] == "not-judged"  # on eight images of each side
    assert report["unmasked"]["acc_f"] == 0


def test_clothes_are_mirrored(unlearned_lenet: Unlearned) -> None:
    assert unlearned_lenet.report["method"]["mirrors"]
