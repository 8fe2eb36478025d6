"""Networks of the paper's experiments and of the field, written after the papers."""

from architectures.convnext import ConvNeXt
from architectures.densenet import DenseNet
from architectures.efficientnet import EfficientNetB0
from architectures.inceptionv3 import InceptionV3
from architectures.lenet5 import LeNet5
from architectures.mlp import MLP
from architectures.mobilenetv2 import MobileNetV2
from architectures.mobilenetv3 import MobileNetV3, mobilenet_v3_large, mobilenet_v3_small
from architectures.resnet import ResNet, resnet18, resnet34
from architectures.shufflenetv2 import ShuffleNetV2
from architectures.squeezenet import SqueezeNet
from architectures.vgg import VGG16
from architectures.vit import VisionTransformer

__all__ = [
    "MLP",
    "VGG16",
    "ConvNeXt",
    "DenseNet",
    "EfficientNetB0",
    "InceptionV3",
    "LeNet5",
    "MobileNetV2",
    "MobileNetV3",
    "ResNet",
    "ShuffleNetV2",
    "SqueezeNet",
    "VisionTransformer",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "resnet18",
    "resnet34",
]
