"""ONNX in and out: loading, finding, replacing, saving. No torch."""
