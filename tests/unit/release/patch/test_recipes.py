"""What a patch is made of: nothing that the base has, and each change told as it is."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from nhle_onnx.release.patch.create import ModelFiles, make_recipe
from nhle_onnx.release.patch.layout import list_stored
from nhle_onnx.values.patch import PatchedTensor
from support.patch_models import (
    TENSORS,
    WEIGHT,
    apply,
    compare,
    count_new,
    describe,
    edit,
    make_model,
    mask_row,
    move,
    move_and_mask,
    move_in_steps,
    move_row,
    set_row,
    step_row,
)

CHANGES: dict[str, tuple[dict[str, np.ndarray], str, object, str, int]] = {
    "masked row": (edit("w", set_row(3, 0)), "w", ((3, 3),), "new values", 200),
    "two masked rows": (
        edit("w", lambda values: values.__setitem__([0, 7], -1)), "w", ((0, 0), (7, 7)),
        "several", 400,
    ),
    "masked column": (
        edit("w", lambda values: values.__setitem__((slice(None), 4), 0)), "w", "all",
        "new values", 1600,
    ),
    "row of another's multiple": (
        edit("w", lambda values: values.__setitem__(3, -2.5 * values[5])), "w", ((3, 3),),
        "new values", 200,
    ),
    "column of another's multiple": (
        edit("w", lambda values: values.__setitem__((slice(None), 4), 0.3 * values[:, 1])), "w",
        "all", "new values", 1600,
    ),
    "moved row": (edit("w", move_row), "w", ((2, 2),), "delta", 0),
    "moved by steps": (edit("w", move_in_steps), "w", "all", "sum", 0),
    "moved": (edit("w", move), "w", "all", "delta", 0),
    "moved and masked": (edit("w", move_and_mask), "w", "all", "several", 200),
    "row of whole numbers": (edit("whole", step_row), "whole", ((1, 1),), "delta", 0),
    "masked row of whole numbers": (
        edit("whole", set_row(4, -128)), "whole", ((4, 4),), "new values", 40
    ),
    "half precision": (edit("first", move), "first", "all", "delta", 0),
    "one number of a bias": (edit("b", set_row(3, -9)), "b", ((3, 3),), "new values", 4),
    "many numbers of a bias": (edit("b", move), "b", "all", "new values", 120),
    "eight bytes a number": (edit("shape", set_row(1, 7)), "shape", "all", "new values", 16),
    "another shape": (edit("w", lambda values: values.T.copy()), "w", "all", "new values", 1600),
    "another type": (
        edit("w", lambda values: values.view(np.int32)), "w", "all", "new values", 1600
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_told_as_it_is(name: str, tmp_path: Path) -> None:
    """And the result is the edited file; of new bytes there are no more than it takes."""
    new, changed, rows, encoding, size = CHANGES[name]
    recipe = compare(new)
    dtype = str(new[changed].dtype).replace("float32", "float")
    assert recipe.tensors == (
        PatchedTensor(
            name=changed, dtype=dtype, shape=new[changed].shape, rows=rows, encoding=encoding,
            before=hashlib.sha256(TENSORS[changed].tobytes()).hexdigest(),
            after=hashlib.sha256(new[changed].tobytes()).hexdigest(),
        ),
    )  # fmt: skip
    is_other = name.startswith("another")
    assert size <= count_new(recipe) <= size + (10 if is_other else 0)
    edited = make_model(new).SerializeToString()
    assert apply(recipe, make_model(TENSORS).SerializeToString(), tmp_path).read_bytes() == edited
    (file,) = recipe.result
    assert (file.name, file.size_bytes) == ("edited.onnx", len(edited))
    assert file.sha256 == hashlib.sha256(edited).hexdigest()


def test_deltas_are_the_default() -> None:
    models = (make_model(TENSORS), make_model(edit("w", move_in_steps)))
    base, edited = (describe(each.SerializeToString()) for each in models)
    assert make_recipe(base, edited) == make_recipe(base, edited, deltas=True)
    assert make_recipe(base, edited) != make_recipe(base, edited, deltas=False)


@pytest.mark.parametrize("name", CHANGES)
def test_without_deltas_all_that_changed_is_new(name: str, tmp_path: Path) -> None:
    new, *_ = CHANGES[name]
    recipe = compare(new, deltas=False)
    assert {*recipe.streams} == {"insert"}
    assert {tensor.encoding for tensor in recipe.tensors} == {"new values"}
    edited = make_model(new).SerializeToString()
    assert apply(recipe, make_model(TENSORS).SerializeToString(), tmp_path).read_bytes() == edited


def test_the_same_model_takes_nothing() -> None:
    recipe = compare(TENSORS)
    assert (recipe.tensors, dict(recipe.streams)) == ((), {})
    (file,) = recipe.result
    assert [(piece.kind, piece.offset) for piece in file.pieces] == [("copy", 0)]
    assert recipe.base[0].name == "model.onnx"
    assert recipe.base[0].sha256 == file.sha256
    assert recipe.base[0].size_bytes == file.size_bytes == file.pieces[0].size


@pytest.mark.parametrize("constants", [False, True])
def test_what_lies_between_tensors_is_taken_of_the_base(
    constants: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
) -> None:
    """A text more at the end, a tensor more, and another order."""
    added = {"new": np.arange(5, dtype=np.float32)}
    old = make_model(TENSORS, constants=constants).SerializeToString()
    for tensors in (TENSORS, TENSORS | added, added | TENSORS, dict(reversed(TENSORS.items()))):
        edited = make_model(tensors, "a text", constants=constants).SerializeToString()
        recipe = make_recipe(describe(old), describe(edited))
        assert apply(recipe, old, tmp_path).read_bytes() == edited
        assert count_new(recipe) <= 200
        found = [(tensor.name, tensor.before, tensor.rows) for tensor in recipe.tensors]
        assert found == ([("new", None, "all")] if "new" in tensors else [])


def split(tensors: dict[str, np.ndarray], *files: str, end: bytes = b"end") -> ModelFiles:
    """The tensors by turns in files beside the model, with bytes before, between and behind."""
    model = make_model(tensors)
    contents = {file: bytearray(b"start of " + file.encode()) for file in files}
    for index, tensor in enumerate(model.graph.initializer):
        file, numbers = files[index % len(files)], tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (
            ("location", file),
            ("offset", len(contents[file])),
            ("length", len(numbers)),
        ):
            tensor.external_data.add(key=key, value=str(value))
        contents[file] += numbers + b"gap"
    main = model.SerializeToString()
    held = {"model.onnx": main} | {file: bytes(content + end) for file, content in contents.items()}
    return ModelFiles(contents=held, tensors=list_stored(Path("model.onnx"), main))


def test_files_beside_a_model_are_patched_with_it(tmp_path: Path) -> None:
    """Under other names, in another number, with another end: new is what changed, and no more."""
    new = edit("w", set_row(3, 0)) | {"b": edit("b", set_row(3, -9))["b"]}
    base = split(TENSORS, "w.bin", "v.bin")
    for edited in (
        split(new, "w.bin", "v.bin"), split(new, "e.data", "f.data"), split(new, "one.data"),
        split(new, "w.bin", "v.bin", end=b"ending"), describe(make_model(new).SerializeToString()),
    ):  # fmt: skip
        recipe = make_recipe(base, edited)
        assert [file.name for file in recipe.base] == ["model.onnx", "w.bin", "v.bin"]
        assert [file.name for file in recipe.result] == [*edited.contents]
        assert sorted(tensor.name for tensor in recipe.tensors) == ["b", "w"]
        folder = tmp_path / str(len([*tmp_path.iterdir()]))
        folder.mkdir()
        for name, content in base.contents.items():
            (folder / name).write_bytes(content)
        path = apply(recipe, base.contents["model.onnx"], folder)
        made = {path.name: path, **{name: folder / name for name in [*edited.contents][1:]}}
        for found, content in zip(made.values(), edited.contents.values(), strict=True):
            assert found.read_bytes() == content
        assert count_new(recipe) <= 204 + 500
        if [*edited.contents] == [*base.contents]:
            assert count_new(recipe) <= 204 + 2 * 6
    stored = {tensor.name: tensor for tensor in base.tensors}
    for name, values in TENSORS.items():
        tensor = stored[name]
        assert base.read(tensor) == values.tobytes()
        assert (tensor.kind, tensor.shape) == (
            helper.np_dtype_to_tensor_dtype(values.dtype), values.shape
        )  # fmt: skip


@pytest.mark.parametrize("kind", ["row", "column"])
@pytest.mark.parametrize("value", [0, -1, -3.4e38])
def test_nothing_is_held_of_what_was_masked(kind: str, value: float) -> None:
    """With the edited model at hand a difference is the old value: so there is none of a class."""

    def mask(values: np.ndarray) -> np.ndarray:
        moved = move(values)
        moved[(2,) if kind == "row" else (slice(None), 2)] = value
        return moved

    recipe = compare(edit("w", mask))
    (file,) = recipe.result
    kinds = [each for piece in file.pieces for each in [piece.kind] * piece.size]
    edited = make_model(edit("w", mask)).SerializeToString()
    (start,) = (each.start for each in describe(edited).tensors if each.name == "w")
    words = np.arange(WEIGHT.size).reshape(WEIGHT.shape)
    masked = words[2] if kind == "row" else words[:, 2]
    assert {kinds[start + 4 * word] for word in masked} == {"insert"}
    held = recipe.streams["insert"]
    assert not any(word.tobytes() in held for word in WEIGHT.ravel()[masked])


def test_a_model_in_one_file_may_become_several(tmp_path: Path) -> None:
    base, edited = make_model(TENSORS).SerializeToString(), split(TENSORS, "w.bin", "v.bin")
    recipe = make_recipe(describe(base), edited)
    apply(recipe, base, tmp_path)
    for name in ("w.bin", "v.bin"):
        assert (tmp_path / name).read_bytes() == edited.contents[name]


def test_the_model_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is, the files that hold its weights are there, and are its own."""
    base = split(TENSORS, "w.bin")
    for name, content in base.contents.items():
        (tmp_path / name).write_bytes(content)
    recipe = make_recipe(base, split(edit("w", set_row(3, 0)), "w.new"))
    put: list[Path] = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda *paths: put.append(paths[1]) or replace(*paths))
    apply(recipe, base.contents["model.onnx"], tmp_path)
    assert [path.name for path in put] == ["w.new", "out.onnx"]


def test_numbers_of_four_bits(tmp_path: Path) -> None:
    """A row of them may end within a byte."""
    old, new = (np.arange(15).reshape(5, 3) % each for each in (7, 5))
    contents = []
    for values in (old, new):
        model = make_model({})
        model.graph.initializer.append(
            helper.make_tensor("w", TensorProto.INT4, (5, 3), values.ravel().tolist())
        )
        packed = numpy_helper.from_array(numpy_helper.to_array(model.graph.initializer[0]), "w")
        model.graph.initializer[0].CopyFrom(packed)
        contents.append(model.SerializeToString())
    recipe = make_recipe(*map(describe, contents))
    assert apply(recipe, contents[0], tmp_path).read_bytes() == contents[1]
    (tensor,) = recipe.tensors
    assert (tensor.dtype, tensor.rows) == ("int4", "all")


def test_steps_are_found_beside_a_masked_row() -> None:
    recipe = compare(edit("w", lambda values: mask_row(move_in_steps(values))))
    assert recipe.streams.keys() == {"insert", "sum.0", "sum.1"}
    assert count_new(recipe) == 200


def test_pieces_that_go_on_are_one() -> None:
    """What comes from one place is read at once: pieces take room in the header."""
    for new, count in (
        (edit("w", set_row(3, 0)), 3),
        (edit("w", move), 3),
        (edit("b", set_row(0, 7)), 3),
    ):
        pieces = compare(new).result[0].pieces
        assert len(pieces) == count
        assert all(piece.size for piece in pieces)
