"""Small models, edits of them, and the patch from one to the other."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import ModelProto, helper, numpy_helper

from nhle_onnx.graph.update_rounding import round_update
from nhle_onnx.release.patch.apply import apply_patch
from nhle_onnx.release.patch.container import open_patch, pack
from nhle_onnx.release.patch.create import ModelFiles, Recipe, make_recipe
from nhle_onnx.release.patch.layout import list_stored
from nhle_onnx.values.patch import Manifest
from support import graphs

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(8, 50)).astype(np.float32)
TENSORS: dict[str, np.ndarray] = {
    "first": RNG.normal(size=(6, 10)).astype(np.float16),
    "w": WEIGHT,
    "whole": RNG.integers(-128, 128, (5, 40)).astype(np.int8),
    "b": RNG.normal(size=30).astype(np.float32),
    "shape": np.array([1, -1]),
}


def make_model(
    tensors: dict[str, np.ndarray], text: str = "", *, constants: bool = False
) -> ModelProto:
    """With attributes of every kind of the wire, before and behind the tensors."""
    stored = [numpy_helper.from_array(values, name) for name, values in tensors.items()]
    nodes = [
        helper.make_node("LeakyRelu", ["x"], ["r"], alpha=0.5, doc_string="a node"),
        helper.make_node("Transpose", ["r"], ["y"], perm=[0, 1], name="last"),
    ]
    if constants:
        nodes += [helper.make_node("Constant", [], [each.name], value=each) for each in stored]
        stored = []
    model = graphs.make_model(nodes, {"x": ["n", 300]}, {"y": ["n", 300]}, stored)
    model.graph.doc_string = text
    return model


def describe(content: bytes, name: str = "model.onnx") -> ModelFiles:
    return ModelFiles(contents={name: content}, tensors=list_stored(Path(name), content))


def compare(new: dict[str, np.ndarray], text: str = "", *, deltas: bool = True) -> Recipe:
    old, edited = (make_model(*each).SerializeToString() for each in ((TENSORS, ""), (new, text)))
    return make_recipe(describe(old), describe(edited, "edited.onnx"), deltas=deltas)


def make_manifest(recipe: Recipe) -> Manifest:
    return Manifest(
        schema="nhle-onnx/patch/v1", tool={"name": "a tool"}, base=recipe.base,
        result=recipe.result, tensors=recipe.tensors, forget=(3,),
    )  # fmt: skip


def apply(recipe: Recipe, base: bytes, folder: Path) -> Path:
    (folder / "base.onnx").write_bytes(base)
    (folder / "p.nhlepatch").write_bytes(pack(make_manifest(recipe), recipe.streams))
    apply_patch(
        open_patch(folder / "p.nhlepatch"), folder / "base.onnx", folder / "out.onnx", force=True
    )
    return folder / "out.onnx"


def count_new(recipe: Recipe) -> int:
    return len(recipe.streams.get("insert", b""))


def edit(name: str, change: Callable[[np.ndarray], np.ndarray | None]) -> dict[str, np.ndarray]:
    values = TENSORS[name].copy()
    returned = change(values)
    return TENSORS | {name: values if returned is None else returned}


def set_row(row: int, value: float) -> Callable[[np.ndarray], None]:
    return lambda values: values.__setitem__(row, value)


def move(values: np.ndarray) -> np.ndarray:
    return (values * np.float32(1.001)).astype(values.dtype)


def move_in_steps(values: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=values.shape).astype(np.float32)
    return round_update(values, values + 0.01 * noise)


def mask_row(values: np.ndarray) -> np.ndarray:
    masked = values.copy()
    masked[2] = 0
    return masked


def move_and_mask(values: np.ndarray) -> np.ndarray:
    return mask_row(move(values))


def move_row(values: np.ndarray) -> None:
    values[2] = move(values[2])


def step_row(values: np.ndarray) -> None:
    values[1] = np.where(values[1] < 127, values[1] + 1, values[1])
