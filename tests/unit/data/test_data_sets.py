"""Sources as Hugging Face `datasets` writes them: on disk, in Parquet, and with metadata."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from nhle_onnx.data.metadata import open_described
from nhle_onnx.data.samples import open_samples, read_unlabelled
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.preprocess import Preprocess
from support.inputs import make_input

LABELS = ("cat", "dog", "owl")
TARGET = make_input(1, 2, 2)
PREPROCESS = Preprocess(source="test", scale=1.0)


def encode(value: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (2, 2), value).save(content, "PNG")
    return content.getvalue()


def make_table(classes: list[Any], first: int = 0) -> pa.Table:
    images = [{"bytes": encode(first + place), "path": None} for place in range(len(classes))]
    return pa.table({"image": images, "label": classes})


def save(folder: Path, *tables: pa.Table, names: list[str]) -> None:
    """As `Dataset.save_to_disk` of datasets 4 does."""
    folder.mkdir(parents=True)
    files = [f"data-{place:05}-of-{len(tables):05}.arrow" for place in range(len(tables))]
    for file, table in zip(files, tables, strict=True):
        with pa.ipc.new_stream(folder / file, table.schema) as stream:
            stream.write_table(table, max_chunksize=2)
    state = {"_data_files": [{"filename": file} for file in files], "_split": "train"}
    (folder / "state.json").write_text(json.dumps(state))
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))


def read(path: Path) -> tuple[list[int], list[int]]:
    """The classes, and one pixel of each image."""
    source = open_samples(path, TARGET, PREPROCESS, LABELS)
    pixels = source.read(range(len(source.classes)))[:, 0, 0, 0]
    return source.classes.tolist(), pixels.astype(int).tolist()


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["cat", "dog", "owl"], [0, 1, 2, 0, 2]),
        (["owl", "Cat", "dog"], [2, 0, 1, 2, 1]),  # in another order: names decide
        (["x", "y", "z"], [0, 1, 2, 0, 2]),
    ],
)
def test_a_saved_data_set_is_read(names: list[str], classes: list[int], tmp_path: Path) -> None:
    save(tmp_path / "saved", make_table([0, 1, 2]), make_table([0, 2], first=3), names=names)
    assert read(tmp_path / "saved") == (classes, [0, 1, 2, 3, 4])


def test_splits_of_a_saved_data_set_are_named(tmp_path: Path) -> None:
    for split in ("train", "test"):
        save(tmp_path / split, make_table([0]), names=[])
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(InputRefusedError, match="holds the splits test, train"):
        read(tmp_path)


@pytest.mark.parametrize("damage", ["state.json", "dataset_info.json", "data-00000-of-00001.arrow"])
def test_a_damaged_data_set_is_refused(damage: str, tmp_path: Path) -> None:
    save(tmp_path / "saved", make_table([0]), names=[])
    (tmp_path / "saved" / damage).write_text("{")
    with pytest.raises(InputRefusedError):
        read(tmp_path / "saved")


def test_a_data_set_without_rows_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "saved", make_table([0]).slice(0, 0), names=list(LABELS))
    save(tmp_path / "none", names=list(LABELS))
    parquet.write_table(make_table([0]).slice(0, 0), tmp_path / "x.parquet")
    fill(tmp_path / "described", "file_name,label\n")
    for name, reason in (
        ("saved", "holds no rows"), ("x.parquet", "holds no rows"), ("none", "it lists no files"),
        ("described", "lists no images"),
    ):  # fmt: skip
        with pytest.raises(InputRefusedError, match=reason):
            read(tmp_path / name)


def fill(folder: Path, table: str) -> None:
    """A folder that a table describes."""
    folder.mkdir()
    (folder / "metadata.csv").write_text(table)
    (folder / "a.png").write_bytes(encode(0))


def test_samples_that_vanish_while_they_are_read_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at their form and their opening."""
    with pytest.raises(InputRefusedError, match="no longer holds its metadata"):
        open_described(tmp_path, TARGET, PREPROCESS, LABELS)
    found = iter(["shards", None])
    monkeypatch.setattr("nhle_onnx.data.samples.find_shards", lambda _: next(found))
    with pytest.raises(InputRefusedError, match="no longer holds shards"):
        read(tmp_path)


def test_rows_without_a_class_or_an_image_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a", make_table([0, -1]), names=list(LABELS))
    with pytest.raises(InputRefusedError, match="row 1 is of class -1"):
        read(tmp_path / "a")
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = pa.array([{"bytes": None, "path": "x.png"}], kind)
    save(tmp_path / "b", pa.table({"image": images, "label": [0]}), names=[])
    with pytest.raises(InputRefusedError, match="row 0 holds no image"):
        read(tmp_path / "b")


def make_bad_text(count: int) -> pa.Array:
    """Texts that are not UTF-8."""
    ends = np.arange(count + 1, dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), count, [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(b"\xf4" * count)]
    )


@pytest.mark.parametrize("form", ["saved", "x.parquet"])
def test_text_that_is_not_utf_8(form: str, tmp_path: Path) -> None:
    """As a class it is refused; as an image's path it is not read."""
    images = pa.array([encode(0), encode(1)])
    struct = pa.StructArray.from_arrays([images, make_bad_text(2)], ["bytes", "path"])
    for name, table in (
        ("class", pa.table({"image": images, "label": make_bad_text(2)})),
        ("path", pa.table({"image": struct, "label": [0, 1]})),
    ):
        (tmp_path / name).mkdir()
        if form == "saved":
            save(tmp_path / name / form, table, names=[])
        else:
            parquet.write_table(table, tmp_path / name / form)
    with pytest.raises(InputRefusedError, match="not UTF-8"):
        read(tmp_path / "class" / form)
    assert read(tmp_path / "path" / form) == ([0, 1], [0, 1])


def test_parquet_with_names_in_another_order(tmp_path: Path) -> None:
    features = {"label": {"names": ["owl", "cat", "dog"], "_type": "ClassLabel"}}
    written = json.dumps({"info": {"features": features}})
    table = make_table([0, 1, 2]).replace_schema_metadata({"huggingface": written})
    parquet.write_table(table, tmp_path / "x.parquet")
    assert read(tmp_path / "x.parquet") == ([2, 0, 1], [0, 1, 2])


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_folder_with_metadata_is_read(kind: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for place, name in enumerate(("a.png", "deep/b.png", "c.png")):
        (tmp_path / name).write_bytes(encode(place))
    rows = [{"file_name": "deep/b.png", "label": "owl"}, {"file_name": "a.png", "label": "Dog"}]
    texts = {
        "csv": "file_name,label\ndeep/b.png,owl\na.png,Dog\n",
        "jsonl": "\n".join(map(json.dumps, rows)),
    }
    (tmp_path / f"metadata.{kind}").write_text(texts[kind])
    assert read(tmp_path) == ([2, 1], [1, 0])
    (note,) = open_samples(tmp_path, TARGET, PREPROCESS, LABELS).notes
    assert "read 2 of 3 files" in note
    assert f"1 not in metadata.{kind}" in note


@pytest.mark.parametrize(
    "row",
    [
        {"file_name": "../a.png", "label": 0},
        {"file_name": "/etc/a.png", "label": 0},
        {"file_name": "a.png"},
        {"file_name": "a.png", "label": "bird"},
        {"file_name": "a.png", "label": True},
        {"file_name": "no.png", "label": 0},
        ["a.png", 0],
    ],
)
def test_rows_that_say_nothing_clear_are_refused(row: Any, tmp_path: Path) -> None:  # noqa: ANN401
    (tmp_path / "a.png").write_bytes(encode(0))
    (tmp_path / "metadata.jsonl").write_text(json.dumps(row))
    with pytest.raises(InputRefusedError):
        read(tmp_path)


def test_memory_does_not_hold_a_saved_data_set(tmp_path: Path) -> None:
    save(tmp_path / "saved", make_table([0, 1, 2] * 9), names=list(LABELS))
    before = pa.total_allocated_bytes()
    source = open_samples(tmp_path / "saved", TARGET, PREPROCESS, LABELS)
    np.testing.assert_array_equal(source.classes, [0, 1, 2] * 9)
    assert len(source.read([26])) == 1
    assert pa.total_allocated_bytes() - before < 2**16


def test_what_metadata_calls_forgotten_is_never_an_anchor(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for place, name in enumerate(("a.png", "b.png", "deep/c.png")):
        (tmp_path / name).write_bytes(encode(place))
    table = tmp_path / "metadata.csv"
    table.write_text("file_name,label\na.png,cat\nb.png,dog\ndeep/c.png,cat\n")
    kept, _ = read_unlabelled(tmp_path, TARGET, PREPROCESS, LABELS, (0,))
    assert kept[:, 0, 0, 0].tolist() == [1]
    table.rename(tmp_path / "deep" / table.name)
    with pytest.raises(InputRefusedError, match="deep has metadata"):
        read_unlabelled(tmp_path, TARGET, PREPROCESS, LABELS, (0,))


def test_a_saved_data_set_may_hold_anchors(tmp_path: Path) -> None:
    save(tmp_path / "saved", make_table([0, 1, 2]), names=["owl", "cat", "dog"])
    kept, _ = read_unlabelled(tmp_path / "saved", TARGET, PREPROCESS, LABELS, (0,))
    assert kept[:, 0, 0, 0].tolist() == [0, 2]
