"""Weights in files beside the model: read as onnx reads them, and written to the same places."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, numpy_helper

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.external import split_files
from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.model_files import check_sidecars, read_model_files
from nhle_onnx.graph.tensors import replace_tensors
from nhle_onnx.values.model import OnnxModel
from support.assertions import assert_told
from support.graphs import make_model, make_node, place_outside

LOCATIONS = [("w.bin",), ("a/w.bin", "b/w.bin"), ("u.bin", "a/v.bin", "a/w.bin")]
Entries = dict[str, str]


def draw_tensors(count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    kinds = [np.float32, np.int8, np.float16, np.int64]
    return {
        f"t{index}": rng.normal(size=(3, 2 + index)).astype(kinds[index % 4])
        for index in range(count)
    }


def make_identity(tensors: list[TensorProto]) -> ModelProto:
    return make_model([make_node("Identity", "x")], {"x": ["n", 2]}, {"y": ["n", 2]}, tensors)


def write_outside(folder: Path, *locations: str, checksum: bool = False) -> Path:
    """Tensors by turns in files, last ones first, with bytes of no tensor before and behind them;
    one stays inside.
    """
    tensors = [numpy_helper.from_array(values, name) for name, values in draw_tensors(7).items()]
    contents = {location: bytearray(b"head") for location in locations}
    for index, tensor in reversed([*enumerate(tensors[:-1])]):
        content, numbers = contents[locations[index % len(locations)]], tensor.raw_data
        place_outside(
            tensor,
            location=locations[index % len(locations)],
            offset=len(content),
            length=len(numbers),
        )
        content += numbers + b"gap"
    for location, content in contents.items():
        (folder / location).parent.mkdir(parents=True, exist_ok=True)
        (folder / location).write_bytes(content)
        for tensor in tensors:
            if checksum and any(entry.value == location for entry in tensor.external_data):
                stated = hashlib.sha1(content).hexdigest()  # noqa: S324 - ONNX's
                tensor.external_data.add(key="checksum", value=stated)
    path = folder / "model.onnx"
    path.write_bytes(make_identity(tensors).SerializeToString())
    return path


def read(path: Path) -> dict[str, np.ndarray]:
    """As onnx reads them."""
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def write_edited(model: OnnxModel, folder: Path) -> Path:
    folder.mkdir()
    edited = folder / "edited.onnx"
    files = split_files(model.proto, model.places, model.path, edited)
    assert [*files][-1] == edited
    for path, content in files.items():
        assert path.parent == folder
        path.write_bytes(content)
    return edited


@pytest.mark.parametrize("locations", LOCATIONS)
@pytest.mark.parametrize("checksum", [False, True])
def test_an_unchanged_model_keeps_its_layout(
    locations: tuple[str, ...],
    checksum: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
) -> None:
    path = write_outside(tmp_path, *locations, checksum=checksum)
    model = load_model(path)
    for tensor in model.proto.graph.initializer:
        assert numpy_helper.to_array(tensor).tobytes() == draw_tensors(7)[tensor.name].tobytes()
    sizes = [(tmp_path / name).stat().st_size for name in ("model.onnx", *locations)]
    assert model.size_bytes == sum(sizes)
    assert dict(model.sidecars) == {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in locations
    }
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    edited = write_edited(model, tmp_path / "out")
    again = load_model(edited)
    assert again.proto == model.proto
    assert sorted(again.sidecars.values()) == sorted(model.sidecars.values())
    assert len(again.sidecars) == len(locations)
    for name, old in model.places.items():
        new = again.places[name]
        assert (new.offset, new.length) == (old.offset, old.length)
        assert [key for key, _ in new.entries] == [key for key, _ in old.entries]


@pytest.mark.parametrize("locations", LOCATIONS)
def test_a_changed_tensor_is_changed_where_it_lies(
    locations: tuple[str, ...], tmp_path: Path
) -> None:
    model = load_model(write_outside(tmp_path, *locations, checksum=True))
    values = {"t0": -draw_tensors(1)["t0"], "t6": draw_tensors(7)["t6"] + np.float16(1)}
    replace_tensors(model.proto, values)
    edited = write_edited(model, tmp_path / "out")
    expected = draw_tensors(7) | values
    for name, found in read(edited).items():
        assert found.tobytes() == expected[name].tobytes()
    load_model(edited)  # the checksum is true again
    before, after = (
        sorted((each.parent / name).read_bytes() for name in load_model(each).sidecars)
        for each in (model.path, edited)
    )
    assert [len(content) for content in after] == [len(content) for content in before]
    moved = sum(
        a != b
        for old, new in zip(before, after, strict=True)
        for a, b in zip(old, new, strict=True)
    )
    assert 0 < moved <= values["t0"].nbytes


def test_what_a_place_leaves_out(tmp_path: Path) -> None:
    """Without an offset from the start on, without a length to the end."""
    values = draw_tensors(1)["t0"]
    tensor = numpy_helper.from_array(values, "t0")
    (tmp_path / "w.bin").write_bytes(values.tobytes())
    place_outside(tensor, location="w.bin")
    (tmp_path / "model.onnx").write_bytes(make_identity([tensor]).SerializeToString())
    model = load_model(tmp_path / "model.onnx")
    assert model.proto.graph.initializer[0].raw_data == values.tobytes()
    assert (model.places["t0"].offset, model.places["t0"].length) == (0, None)


def test_a_tensor_without_numbers_takes_no_room(tmp_path: Path) -> None:
    """Such as a Resize's region that it does not use; some exporters put all of them outside."""
    tensors = [numpy_helper.from_array(np.empty(0, np.float32), name) for name in ("none", "nil")]
    (tmp_path / "w.bin").touch()
    for tensor in tensors:
        place_outside(tensor, location="w.bin", offset=0, length=0)
    (tmp_path / "model.onnx").write_bytes(make_identity(tensors).SerializeToString())
    model = load_model(tmp_path / "model.onnx")
    assert [tensor.raw_data for tensor in model.proto.graph.initializer] == [b"", b""]


def change(**entries: object) -> Callable[[Path], None]:
    """Say something else of where the first tensor lies."""

    def edit(path: Path) -> None:
        proto = onnx.load(path, load_external_data=False)
        tensor = proto.graph.initializer[0]
        old = {entry.key: entry.value for entry in tensor.external_data}
        place_outside(tensor, **(old | entries))
        path.write_bytes(proto.SerializeToString())

    return edit


def say_twice(path: Path) -> None:
    proto = onnx.load(path, load_external_data=False)
    proto.graph.initializer[0].external_data.add(key="offset", value="4")
    path.write_bytes(proto.SerializeToString())


def say_nothing(path: Path) -> None:
    proto = onnx.load(path, load_external_data=False)
    del proto.graph.initializer[0].external_data[:]
    path.write_bytes(proto.SerializeToString())


def link(path: Path) -> None:
    path.with_name("w.bin").rename(path.with_name("other"))
    path.with_name("w.bin").symlink_to(path.with_name("other"))


def replace_by(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        path.with_name("w.bin").unlink()
        make(path.with_name("w.bin"))

    return edit


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path.with_name("w.bin").unlink(), "No such file"),
    "short": (
        lambda path: os.truncate(path.with_name("w.bin"), 100),
        "ends beyond the end of w.bin, of 100 bytes",
    ),
    "beyond": (change(offset=10**15), "t0 ends beyond the end of w.bin, of"),
    "offset of text": (change(offset="4x"), "t0 has the offset 4x, which is not a number of bytes"),
    "offset below": (change(offset="-4"), "t0 has the offset -4, which is not a number of bytes"),
    "length of text": (
        change(length="9" * 50), f"t0 has the length {'9' * 40}, which is not a number"
    ),
    "length of another": (change(length="23"), "t0 takes 24 bytes by its shape, but has 23"),
    "shared": (change(offset=5), "shares bytes of w.bin with another tensor"),
    "checksum": (
        change(checksum="0" * 40), "w.bin does not have the checksum that the model states"
    ),
    "twice": (say_twice, "t0 states its location twice"),
    "two spellings": (change(location="./w.bin"), "one file is named in two ways"),
    "elsewhere": (change(location="../w.bin"), "../w.bin is not in the model's folder"),
    "nowhere": (change(location=""), "it has no name"),
    "no place": (say_nothing, "it has no name"),
    "link": (link, "w.bin is a symbolic link, or lies behind one"),
    "hard link": (
        lambda path: os.link(path.with_name("w.bin"), path.with_name("v")),
        "w.bin has several names (hard links)",
    ),
    "folder": (replace_by(Path.mkdir), "Is a directory"),
    "pipe": (replace_by(os.mkfifo), "it is not a regular file"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_files_that_are_not_as_the_model_says(damage: str, tmp_path: Path) -> None:
    path = write_outside(tmp_path, "w.bin")
    edit, reason = DAMAGES[damage]
    edit(path)
    with pytest.raises(InputRefusedError) as caught:
        load_model(path)
    told = f"{path} keeps weights in a separate file that cannot be read: "
    assert_told(caught.value, told, reason)
    assert "Errno" not in caught.value.reason
    assert ".data file beside it" in caught.value.remedy


def test_a_file_above_the_limit(tmp_path: Path) -> None:
    """Of eight bytes for each number that the model may have."""
    path = write_outside(tmp_path, "w.bin")
    with path.with_name("w.bin").open("r+b") as stream:
        stream.truncate(8 * 150)
    load_model(path, max_elements=150)
    with path.with_name("w.bin").open("r+b") as stream:
        stream.truncate(8 * 150 + 1)
    with pytest.raises(InputRefusedError) as caught:
        load_model(path, max_elements=150)
    assert_told(caught.value, "w.bin has 1,201 bytes: more than 1,200")


def test_a_file_that_shrinks_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_outside(tmp_path, "w.bin")
    status = (tmp_path / "w.bin").stat()
    longer = os.stat_result((*status[:6], status.st_size + 1, *status[7:10]))
    look = os.fstat

    def look_before(descriptor: int) -> os.stat_result:
        found = look(descriptor)
        return longer if found.st_ino == status.st_ino else found

    monkeypatch.setattr(os, "fstat", look_before)
    with pytest.raises(InputRefusedError) as caught:
        load_model(path)
    assert_told(caught.value, "it became shorter while being read")


def test_files_that_change_after_they_were_read(tmp_path: Path) -> None:
    path = write_outside(tmp_path, "a/w.bin", "b/w.bin")
    model = load_model(path)
    contents = read_model_files(model)
    assert [*contents] == ["model.onnx", *model.sidecars]
    assert all((tmp_path / name).read_bytes() == content for name, content in contents.items())
    check_sidecars(model)
    content = (tmp_path / "b/w.bin").read_bytes()
    (tmp_path / "b/w.bin").write_bytes(bytes(len(content)))
    for look in (read_model_files, check_sidecars):
        with pytest.raises(InputRefusedError) as caught:
            look(model)
        assert_told(caught.value, f"{tmp_path / 'b/w.bin'} was changed by another process")
    (tmp_path / "b/w.bin").write_bytes(content)
    path.unlink()
    check_sidecars(model)
    with pytest.raises(InputRefusedError, match=r"model\.onnx was changed by another process"):
        read_model_files(model)


def test_a_model_behind_a_link(tmp_path: Path) -> None:
    """What it names lies where the link leads."""
    (tmp_path / "here").mkdir()
    path = write_outside(tmp_path / "here", "w.bin")
    (tmp_path / "link.onnx").symlink_to(path)
    model = load_model(tmp_path / "link.onnx")
    assert model.files == {path, path.with_name("w.bin")}
    assert read_model_files(model)["w.bin"] == path.with_name("w.bin").read_bytes()
    check_sidecars(model)
    assert read(write_edited(model, tmp_path / "out")).keys() == draw_tensors(7).keys()


def make_cache(folder: Path) -> tuple[Path, Path]:
    """A model as a Hugging Face cache holds it: links to files that are named by their content."""
    snapshot, blobs = folder / "snapshots/main/onnx", folder / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    path = write_outside(snapshot, "model.onnx_data")
    for file in (path, path.with_name("model.onnx_data")):
        blob = blobs / hashlib.sha256(file.read_bytes()).hexdigest()
        file.rename(blob)
        file.symlink_to(Path("../../../blobs") / blob.name)
    return path, blobs


def test_a_model_in_a_cache_of_downloads(tmp_path: Path) -> None:
    path, blobs = make_cache(tmp_path)
    model = load_model(path)
    assert model.files == set(blobs.iterdir())
    weights = path.with_name("model.onnx_data")
    assert read_model_files(model)["model.onnx_data"] == weights.read_bytes()
    check_sidecars(model)
    assert read(write_edited(model, tmp_path / "out")).keys() == draw_tensors(7).keys()


@pytest.mark.parametrize("place", ["elsewhere", "blobs/below"])
def test_a_link_that_leaves_the_folder_of_a_cache(place: str, tmp_path: Path) -> None:
    path, _ = make_cache(tmp_path)
    weights = path.with_name("model.onnx_data")
    (tmp_path / place).mkdir()
    moved = weights.resolve().rename(tmp_path / place / "weights")
    weights.unlink()
    weights.symlink_to(moved)
    with pytest.raises(InputRefusedError) as caught:
        load_model(path)
    assert_told(caught.value, "keeps weights in a separate file", "No such file")
    assert "cp -L" in caught.value.remedy
