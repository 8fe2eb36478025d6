"""Multi-layer perceptron."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class MLP(nn.Module):
    """Fully connected ReLU network over a flattened image.

    Takes [N, C, H, W] or [N, D]; returns logits [N, num_classes].
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_features: int = 28 * 28,
        hidden_features: Sequence[int] = (512, 256),
    ) -> None:
        super().__init__()
        widths = [in_features, *hidden_features]
        hidden = [
            layer
            for width_in, width_out in pairwise(widths)
            for layer in (nn.Linear(width_in, width_out), nn.ReLU())
        ]
        self.features = nn.Sequential(nn.Flatten(), *hidden)
        self.classifier = nn.Linear(widths[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.classifier(self.features(images))
        return logits
