"""Programs that make ONNX files; most run in an environment of their own, without this package."""
