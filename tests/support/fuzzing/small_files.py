"""The smallest good file of each kind that our readers know."""

import hashlib
import io
import json
from collections.abc import Callable, Mapping

import numpy as np

from nhle_onnx.release.patch.container import pack
from nhle_onnx.values.patch import MadeFile, Manifest, PatchedFile, Piece
from support.fuzzing.control_flow import make_control_flow

BASE = b"base" + bytes(8)  # of the patch


def make_model() -> bytes:
    """A model of a few nodes."""
    return bytes(make_control_flow().SerializeToString())


def make_patch() -> bytes:
    """A patch of BASE with a piece of each kind; its differences are zeros."""
    made = BASE[:4] + b"new!" + BASE[4:]
    result = MadeFile(
        name="made.onnx",
        sha256=hashlib.sha256(made).hexdigest(),
        size_bytes=len(made),
        pieces=(
            Piece("copy", 4),
            Piece("insert", 4),
            Piece("delta", 4, offset=4, width=4),
            Piece("sum", 4, offset=8, width=4, exponent=-10),
        ),
    )
    digest = hashlib.sha256(BASE).hexdigest()
    manifest = Manifest(
        tool={},
        base=(PatchedFile(name="model.onnx", sha256=digest, size_bytes=len(BASE)),),
        result=(result,),
        tensors=(),
    )
    planes = ("delta4.0", "delta4.1", "delta4.2", "delta4.3", "sum.0", "sum.1")
    return pack(manifest, {"insert": b"new!"} | dict.fromkeys(planes, b"\0"))


def make_arrays() -> bytes:
    """Two blank images of 28x28, and their classes."""
    stream = io.BytesIO()
    np.savez(stream, x=np.zeros((2, 1, 28, 28), np.float32), y=np.arange(2))
    return stream.getvalue()


def make_preprocess() -> bytes:
    """What image processors are saved as."""
    config = {
        "do_resize": True, "size": {"height": 28, "width": 28}, "resample": 2, "crop_size": None,
        "rescale_factor": 1 / 255, "image_mean": [0.5], "image_std": [0.5],
    }  # fmt: skip
    return json.dumps(config).encode()


def make_labels() -> bytes:
    """A configuration that names classes."""
    return json.dumps({"id2label": {str(index): f"class {index}" for index in range(10)}}).encode()


SMALL_FILES: Mapping[str, Callable[[], bytes]] = {
    "model.onnx": make_model,
    "p.nhlepatch": make_patch,
    "data.npz": make_arrays,
    "labels.txt": lambda: "\n".join(map(str, range(10))).encode(),
    "config.json": make_labels,
    "preprocessor_config.json": make_preprocess,
    "settings.toml": lambda: b"mean = [0.5]\nverbose = true\n",
}
