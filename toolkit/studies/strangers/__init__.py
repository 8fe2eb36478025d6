"""Networks as other people train them: does the tool's default work on these, too?"""

from pathlib import Path

ZOO = Path.home() / ".cache" / "nhle-onnx-studies" / "strangers"  # where they are kept
