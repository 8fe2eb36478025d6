"""LeNet-5: LeCun et al., "Gradient-based learning applied to document recognition", 1998, §II-B."""

from torch import Tensor, nn


class LeNet5(nn.Module):
    """C1-S2-C3-S4-C5-F6-output for 28x28 images (padded to 32x32 inside C1, as in the paper).

    Takes [N, 1, 28, 28]; returns logits [N, num_classes]. Two departures, as in every present-day
    version: C3 sees all maps of S2, and the RBF output is a linear layer. The nonlinearity is
    ReLU and the pooling is max.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(84, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.classifier(self.features(images))
        return logits
