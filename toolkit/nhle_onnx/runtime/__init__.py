"""ONNX Runtime: sessions, providers and kernels, without torch."""
