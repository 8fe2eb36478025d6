"""From an ONNX graph to a trainable torch module."""
