"""Reading a loaded model's files again, with an error if they have changed."""

import hashlib
from pathlib import Path

from nhle_onnx.graph.inputs import changed_input
from nhle_onnx.graph.regular_files import open_regular
from nhle_onnx.values.model import OnnxModel


def read_model_files(model: OnnxModel) -> dict[str, bytes]:
    """Return every file's bytes by name, sidecars relative to the model's folder, the model first.

    Raises InputRefusedError where another process changed one since it was loaded.
    """
    digests = {model.path.name: model.sha256, **model.sidecars}
    contents = {name: _read(_locate(model, name)) for name in digests}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != digests[name]:
            raise changed_input(_locate(model, name))
    return contents


def _locate(model: OnnxModel, name: str) -> Path:
    resolved = model.path.resolve()
    return resolved if name == model.path.name else resolved.parent / model.real_names[name]


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as stream:
            return stream.read()
    except OSError as error:
        raise changed_input(path) from error
