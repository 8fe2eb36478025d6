"""LeNet-5 with other numbers in it, and samples of Fashion-MNIST made for a purpose."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from support.shipped import EVALUATION, LENET, SAMPLES, copy_sidecars

WEIGHT, BIAS = "classifier.weight", "classifier.bias"
Arrays = dict[str, np.ndarray]


def save_lenet(
    folder: Path, change: Callable[[Arrays], Mapping[str, np.ndarray]] | None = None
) -> Path:
    """A copy with its sidecars, and with the initializers that `change` gives."""
    folder.mkdir()
    copy_sidecars(folder)
    model = onnx.load(LENET)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    old = {name: numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
    for name, values in (change(old) if change else {}).items():
        tensors[name].CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))
    return save(model, folder)


def save_lenet_with_root(folder: Path, darkest: float) -> Path:
    """One that adds 0 · √(darkest pixel - `darkest`) to its features: NaN for darker images."""
    path = save_lenet(folder)
    model = onnx.load(path)
    head = model.graph.node[-1]
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), name)
        for name, value in (("darkest", darkest), ("nothing", 0))
    )
    added = [
        helper.make_node("ReduceMin", ["image"], ["low"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Flatten", ["low"], ["flat"]),
        helper.make_node("Sub", ["flat", "darkest"], ["above"]),
        helper.make_node("Sqrt", ["above"], ["root"]),
        helper.make_node("Mul", ["root", "nothing"], ["zero"]),
        helper.make_node("Add", [head.input[0], "zero"], ["rooted"]),
    ]
    head.input[0] = "rooted"
    del model.graph.node[-1]
    model.graph.node.extend([*added, head])
    return save(model, folder)


def save(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def save_samples(path: Path, folders: Mapping[str, list[Path]]) -> Path:
    """A folder of samples: for each class the files that are given for it."""
    for name, files in folders.items():
        (path / name).mkdir(parents=True)
        for position, file in enumerate(files):
            (path / name / f"{position:02}{file.suffix}").symlink_to(file)
    return path


def list_images(label: str) -> list[Path]:
    return sorted((SAMPLES / label).iterdir())


def read_inputs() -> tuple[np.ndarray, np.ndarray]:
    """The evaluation images as LeNet-5 takes them, and their classes."""
    with np.load(EVALUATION) as archive:
        images, classes = archive["x"], archive["y"]
    return ((images[:, None] / 255 - 0.286) / 0.353).astype(np.float32), classes


def save_arrays(path: Path, x: np.ndarray, y: np.ndarray) -> Path:
    np.savez(path, x=x, y=y)
    return path
