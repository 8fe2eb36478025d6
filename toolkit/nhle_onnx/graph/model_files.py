"""Reading a loaded model's files again, with an error if they have changed."""

import hashlib
from pathlib import Path

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.model import OnnxModel


def read_model_files(model: OnnxModel) -> dict[str, bytes]:
    """Return every file's bytes by name, sidecars relative to the model's folder, the model first.

    Raises InputRefusedError where another process changed one since it was loaded.
    """
    digests = {model.path.name: model.sha256, **model.sidecars}
    contents = {name: _read(_locate(model, name)) for name in digests}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != digests[name]:
            raise _changed(_locate(model, name))
    return contents


def check_sidecars(model: OnnxModel) -> None:
    """Raise InputRefusedError where another process changed one since it was loaded."""
    for name, digest in model.sidecars.items():
        if hashlib.sha256(_read(_locate(model, name))).hexdigest() != digest:
            raise _changed(_locate(model, name))


def _locate(model: OnnxModel, name: str) -> Path:
    resolved = model.path.resolve()
    return resolved if name == model.path.name else resolved.parent / model.real_names[name]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _changed(path) from error


def _changed(path: Path) -> InputRefusedError:
    message = f"{path} was changed by another process while it was in use"
    return InputRefusedError(
        message, remedy="Run this again when no other process writes the file."
    )
