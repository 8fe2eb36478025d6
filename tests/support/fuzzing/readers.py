"""Our own readers of strangers' files, each as a function of a path that may only refuse."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import click
from PIL import Image

from nhle_onnx.cli.config import read_config
from nhle_onnx.cli.inspect import inspect_command
from nhle_onnx.data.arrays import open_arrays
from nhle_onnx.data.labels import find_labels
from nhle_onnx.data.preprocess import prepare_image
from nhle_onnx.data.preprocess_sources import find_preprocess
from nhle_onnx.errors import NhleOnnxError
from nhle_onnx.graph.load import load_model
from nhle_onnx.release.report import render_json
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.preprocess import ImageInput
from nhle_onnx.values.settings.inspect import InspectSettings
from nhle_onnx.values.settings.model import PreprocessFlags
from nhle_onnx.values.settings.patch import ApplySettings
from nhle_onnx.workflows.inspect import inspect_model
from nhle_onnx.workflows.patch_apply import apply_patch_file, describe_patch
from support.fuzzing.small_files import BASE
from support.shipped import LENET

_TARGET = ImageInput(
    name="image", dtype="float32", batch=None, channels=1, height=28, width=28, layout="NCHW"
)


def read_model(path: Path) -> None:
    """A model: its faults, head, input and weights."""
    render_json(inspect_model(InspectSettings(model=path)))


def read_patch(path: Path) -> None:
    """A patch: its header, and what it makes of the file that the small one is for."""
    base, out = path.with_name("base"), path.with_name("made")
    base.write_bytes(BASE)
    describe_patch(apply_patch_file(ApplySettings(base=base, patch=path, out=out, force=True)))


def read_arrays(path: Path) -> None:
    """An .npz with samples."""
    samples = open_arrays(path, _TARGET, None, 10)
    samples.read(range(len(samples.classes)))


def read_labels(path: Path) -> None:
    """Class names: of a .json file as a configuration, else one a line."""
    find_labels(_load_lenet(), 10, path)


def read_preprocess(path: Path) -> None:
    """A preprocessing description, and an image as it says."""
    found = find_preprocess(_load_lenet(), _TARGET, PreprocessFlags(file=str(path)))
    if found:
        prepare_image(Image.new("L", (32, 30)), _TARGET, found)


def read_settings(path: Path) -> None:
    """A configuration file of a command."""
    context = click.Context(inspect_command)
    read_config(context, inspect_command.params[0], path)


@cache
def _load_lenet() -> OnnxModel:
    return load_model(LENET)


READERS: Mapping[str, Callable[[Path], None]] = {
    "model.onnx": read_model,
    "p.nhlepatch": read_patch,
    "data.npz": read_arrays,
    "labels.txt": read_labels,
    "config.json": read_labels,
    "preprocessor_config.json": read_preprocess,
    "settings.toml": read_settings,
}


def read_stranger(content: bytes, name: str, folder: Path) -> bool:
    """Write a file of one of the names in READERS, and read it; False where it was refused. Any
    other error is a bug.
    """
    path = folder / name
    path.write_bytes(content)
    try:
        READERS[name](path)
    except (NhleOnnxError, click.UsageError):
        return False
    return True
