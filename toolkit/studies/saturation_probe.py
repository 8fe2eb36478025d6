"""Accuracies of models by exact sums and by this processor's default kernels, as JSON.

    python saturation_probe.py FOLDER

runs each `NAME.onnx` in the folder on `NAME.npz`, with inputs `x` and labels `y`.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx

from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.kernels import Kernels

KERNELS: tuple[Kernels, ...] = ("exact", "default")
_BATCH = 50


def measure_file(path: Path, kernels: Kernels) -> float:
    """Measure accuracy; where scales are dynamic, images are run one by one."""
    proto = onnx.load(path)
    is_dynamic = any(node.op_type == "DynamicQuantizeLinear" for node in proto.graph.node)
    size = 1 if is_dynamic else _BATCH
    native = open_session(proto, "cpu", kernels).native
    name = native.get_inputs()[0].name
    with np.load(path.with_suffix(".npz")) as held:
        inputs, labels = held["x"], held["y"]
    scores = [
        native.run(None, {name: inputs[start : start + size]})[0]
        for start in range(0, len(labels), size)
    ]
    return float((np.concatenate(scores).reshape(len(labels), -1).argmax(1) == labels).mean())


def main(folder: Path) -> None:
    """Print the figures of each file."""
    found = {
        path.stem: {kernels: measure_file(path, kernels) for kernels in KERNELS}
        for path in sorted(folder.glob("*.onnx"))
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
