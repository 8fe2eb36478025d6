"""Loading, reading, editing and saving ONNX graphs, without torch."""
