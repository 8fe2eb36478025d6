"""ONNX Runtime: where models run, on which provider, and by which kernels. Never torch."""
