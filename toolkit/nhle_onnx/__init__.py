"""Make a deployed ONNX image classifier forget a class, prove it, and ship the patched model."""

__version__ = "0.1.0"
