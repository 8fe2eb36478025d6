"""Small image classifiers of Hugging Face's transformers, trained briefly and saved as a folder."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from shared import CLASSES, read_data
from torch import Tensor, nn

from studies.strangers.recipes import Recipe, Samples, fit

_IMAGE = {"image_size": 32, "num_channels": 1, "num_labels": CLASSES}
_VIT = {
    **_IMAGE,
    "patch_size": 8,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}
_STAGES = {**_IMAGE, "depths": [1, 1], "hidden_sizes": [24, 48], "num_stages": 2}
# The name of the classes in transformers, and the settings that differ from the defaults.
CONFIGURATIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "vit": ("ViT", _VIT),
    "deit": ("DeiT", _VIT),
    "beit": ("Beit", {**_VIT, "use_relative_position_bias": True}),
    "swin": (
        "Swin",
        {**_IMAGE, "patch_size": 2, "embed_dim": 24, "depths": [1, 1], "num_heads": [2, 4],
         "window_size": 4},
    ),
    "convnext": ("ConvNext", {**_STAGES, "patch_size": 4}),
    "resnet": (
        "ResNet",
        {**_IMAGE, "embedding_size": 16, "depths": [1, 1], "hidden_sizes": [24, 48],
         "layer_type": "basic"},
    ),
    "mobilevit": (
        "MobileViT",
        {**_IMAGE, "hidden_sizes": [32, 48, 64], "neck_hidden_sizes": [8, 16, 24, 32, 40, 48, 96],
         "num_attention_heads": 2, "output_stride": 8},
    ),
    "mobilenetv2": ("MobileNetV2", {**_IMAGE, "depth_multiplier": 0.35, "output_stride": 8}),
}  # fmt: skip
RECIPE = Recipe(optimizer="adamw", lr=3e-3, schedule="one-cycle", steps=300, batch=64)
_ONE_HEAD = "ForImageClassification"
_TWO_HEADS = {"deit": "ForImageClassificationWithTeacher"}


class Scores(nn.Module):
    """A network that returns only its scores."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return scores [N, K] of images [N, C, H, W]."""
        scores: Tensor = self.network(pixel_values=images).logits
        return scores


def make_network(name: str) -> Any:  # noqa: ANN401 - transformers types little
    """Make a network that is not trained yet."""
    prefix, settings = CONFIGURATIONS[name]
    config = getattr(transformers, f"{prefix}Config")(**settings)
    kind = f"{prefix}{_TWO_HEADS.get(name, _ONE_HEAD)}"
    return getattr(transformers, kind)(config)


def main(name: str, given: Path, out: Path) -> None:
    """Train and save a network."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = make_network(name)
    images, labels = map(torch.from_numpy, read_data(given))
    fit(Scores(network), Samples(images[:, None], labels), RECIPE)
    network.eval().save_pretrained(out)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
