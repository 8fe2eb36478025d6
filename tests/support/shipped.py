"""The shipped models and samples."""

from support import ROOT

LENET = ROOT / "models" / "lenet5_fashion_mnist" / "model.onnx"
MOBILENET = ROOT / "models" / "mobilenetv3_small_fashion_mnist" / "model.onnx"
MOBILENET_INT8 = ROOT / "models" / "mobilenetv3_small_int8_fashion_mnist" / "model.onnx"
SAMPLES = ROOT / "calibration_samples" / "fashion_mnist"
EVALUATION = SAMPLES / "evaluation.npz"
