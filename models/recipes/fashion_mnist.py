"""What Fashion-MNIST is: names, statistics of its training images, source, licence."""

LABELS = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
MEAN = 0.2860
STD = 0.3530
SOURCE = "Fashion-MNIST, Zalando Research (https://github.com/zalandoresearch/fashion-mnist)"
LICENCE = "MIT"
EXTENT = 28
