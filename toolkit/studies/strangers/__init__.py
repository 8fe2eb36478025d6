"""Networks as other people train them, to measure whether the tool's default travels."""

from pathlib import Path

ZOO = Path.home() / ".cache" / "nhle-onnx-studies" / "strangers"  # where they are kept
