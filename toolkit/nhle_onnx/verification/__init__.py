"""Measurements of a model as it will run, in ONNX Runtime and without torch."""
