"""What `import nhle_onnx` offers: the commands as functions."""
