"""VGG: Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition",
2015, Table 1, column D.
"""

from torch import Tensor, nn

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions
REDUCTION = 2 ** len(STAGES)


class VGG16(nn.Module):
    """Configuration D; takes [N, 3, image_size, image_size], returns logits [N, num_classes].

    The paper's classifier is `image_size=224, hidden_features=4096`. The defaults are those in
    use for 32x32 images, where the last map is 1x1. Batch normalisation is later than the paper.
    """

    def __init__(
        self,
        num_classes: int = 10,
        image_size: int = 32,
        hidden_features: int = 512,
        *,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, count in STAGES:
            for _ in range(count):
                layers.append(nn.Conv2d(channels, width, 3, padding=1))
                layers += [nn.BatchNorm2d(width), nn.ReLU()] if batch_norm else [nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.neck = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * (image_size // REDUCTION) ** 2, hidden_features),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(hidden_features, hidden_features),
            nn.ReLU(),
            nn.Dropout(),
        )
        self.classifier = nn.Linear(hidden_features, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch of images."""
        logits: Tensor = self.classifier(self.neck(self.features(images)))
        return logits
