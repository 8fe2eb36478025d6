"""The files of a kit: data, runners that do not need this package, and instructions."""

import base64
import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from nhle_onnx.release.kit.page import TRIAL, can_hold, render_kit_page
from nhle_onnx.release.kit.vendored import read_runner, read_web_file
from nhle_onnx.release.report import render_json
from nhle_onnx.runtime.kernels import make_trial
from nhle_onnx.values.kit import InputType, Kit

KIT_JSON = "kit.json"
IMAGES = "images.bin"
MODEL_FOLDER = "model"
_DIGEST = "{{ kit_json_sha256 }}"


def encode_images(inputs: npt.NDArray[np.float32], dtype: InputType) -> bytes:
    """Encode model inputs for the kit: little-endian, one image after the other."""
    return inputs.astype(np.dtype(dtype).newbyteorder("<")).tobytes()


def encode_trial() -> str:
    """Encode the model by which a runner finds out whether its processor saturates."""
    return base64.b64encode(make_trial()).decode()


def make_contents(kit: Kit, data: Mapping[str, bytes]) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Return every file of the kit by name, and notes for the report.

    `data` are the files that the kit names: the model's and the images.
    """
    text = render_json(kit).encode()
    data = {KIT_JSON: text, **data}
    digest = hashlib.sha256(text).hexdigest()

    def fill(*runners: str) -> bytes:
        text = "\n".join(map(read_runner, runners))
        return text.replace(_DIGEST, digest).replace(TRIAL, encode_trial()).encode()

    contents = {
        **data,
        "verify.py": fill("verify.py"),
        "verify.mjs": fill("judge.js", "node.js"),
        "README.txt": read_runner("README.txt").encode(),
    }
    if not can_hold(data):
        size = sum(map(len, data.values()))
        return contents, (f"no index.html: {size:,} bytes are more than a page can hold",)
    contents["index.html"] = render_kit_page(data, encode_trial())
    for name in ("LICENSE", "ThirdPartyNotices.txt"):
        contents[f"onnxruntime-web/{name}"] = read_web_file(name)
    return contents, ()
