"""The networks of the paper's experiments, written after the papers that introduced them."""

from architectures.lenet5 import LeNet5
from architectures.mlp import MLP
from architectures.mobilenetv3 import MobileNetV3, mobilenet_v3_large, mobilenet_v3_small

__all__ = ["MLP", "LeNet5", "MobileNetV3", "mobilenet_v3_large", "mobilenet_v3_small"]
