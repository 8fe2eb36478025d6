"""Samples, labels and splits."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nhle_onnx.data.labels import find_class, find_labels, parse_classes
from nhle_onnx.data.preprocess_sources import find_preprocess
from nhle_onnx.data.samples import open_samples, read_unlabelled
from nhle_onnx.data.splits import find_samples, split_samples
from nhle_onnx.data.variety import spread
from nhle_onnx.errors import InputRefusedError, UsageError
from nhle_onnx.graph.image_input import read_image_input
from nhle_onnx.graph.load import load_model
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.values.settings.model import PreprocessFlags
from support.shipped import LENET, MOBILENET, SAMPLES

MODEL = load_model(LENET)
TARGET = read_image_input(MODEL)
PREPROCESS = find_preprocess(MODEL, TARGET, PreprocessFlags())
LABELS = find_labels(MODEL, 10, None)


def test_numeric_folders_are_indices_in_numeric_order(tmp_path: Path) -> None:
    for name in ("10", "2", "0"):
        shutil.copytree(SAMPLES / "Bag", tmp_path / name)
    labels = tuple(str(index) for index in range(11))
    source = open_samples(tmp_path, TARGET, PREPROCESS, labels)
    assert list(dict.fromkeys(source.classes.tolist())) == [0, 2, 10]


def test_label_folders_are_matched_by_name() -> None:
    source = open_samples(SAMPLES, TARGET, PREPROCESS, LABELS)
    assert np.bincount(source.classes).tolist() == [16] * 10
    folder = next(i for i, file in enumerate(source.files) if file.parent.name == "T-shirt_top")
    assert source.classes[folder] == 0


def test_folder_and_array_give_the_same_inputs(tmp_path: Path) -> None:
    source = open_samples(SAMPLES, TARGET, PREPROCESS, LABELS)
    chosen = [0, 50, 99]
    images = np.stack([np.asarray(Image.open(source.files[index])) for index in chosen])
    np.savez(tmp_path / "images.npz", x=images, y=source.classes[chosen])
    np.savez(tmp_path / "inputs.npz", x=source.read(chosen), y=source.classes[chosen])
    for name in ("images.npz", "inputs.npz"):
        array = open_samples(tmp_path / name, TARGET, PREPROCESS, LABELS)
        np.testing.assert_array_equal(array.read(range(3)), source.read(chosen))
        np.testing.assert_array_equal(array.classes, source.classes[chosen])


def test_prepared_inputs_need_no_preprocessing(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 1, 28, 28), np.float32), y=np.array([0, 1]))
    assert open_samples(tmp_path / "x.npz", TARGET, None, LABELS).read([0]).shape == (1, 1, 28, 28)


def test_unlabelled_folder_leaves_out_the_forgotten() -> None:
    everything, _ = read_unlabelled(SAMPLES, TARGET, PREPROCESS, LABELS, (3,))
    assert len(everything) == 144
    flat, _ = read_unlabelled(SAMPLES / "Bag", TARGET, PREPROCESS, LABELS, (3,))
    assert len(flat) == 16


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=60),
    st.sets(st.integers(0, 5), min_size=1, max_size=5),
    st.integers(1, 8),
)
def test_split_is_disjoint_and_complete(classes: list[int], forget: set[int], count: int) -> None:
    request = ForgetRequest(forget=tuple(forget), num_classes=6)
    array = np.array(classes, np.int64)
    split = split_samples(array, request, count)
    parts = (*split.forget, *split.anchors, *split.rest)
    assert sorted(parts) == list(range(len(classes)))
    assert all(classes[index] in forget for index in split.forget)
    assert not any(classes[index] in forget for index in split.anchors)
    for index in range(6):
        tuned = [i for i in (*split.forget, *split.anchors) if classes[i] == index]
        assert tuned == spread(np.flatnonzero(array == index).tolist(), count)


@given(st.integers(2, 30), st.data())
def test_forgotten_and_retained_are_a_partition(count: int, data: st.DataObject) -> None:
    forget = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=count - 1))
    request = ForgetRequest(forget=tuple(forget), num_classes=count)
    assert sorted((*request.forget, *request.retained)) == list(range(count))
    assert set(request.forget) == set(forget)


def test_samples_of_the_shipped_models_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    for path in (LENET, MOBILENET):
        assert find_samples(load_model(path)).resolve() == SAMPLES


def test_samples_named_as_the_model_come_first(
    lenet_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lenet_copy.parent)
    plain = lenet_copy.parent / "calibration_samples"
    shutil.copytree(SAMPLES / "Bag", plain / "Bag")
    model = load_model(lenet_copy)
    assert find_samples(model).resolve() == plain
    for name in ("model", "model_folder"):
        shutil.copytree(SAMPLES / "Bag", plain / name / "Bag")
        assert find_samples(model).resolve() == plain / name


@pytest.mark.parametrize(
    ("name", "index"),
    [("Dress", 3), ("3", 3), ("dress", 3), ("T-shirt/top", 0), ("t_shirt-top", 0), ("Hat", None)],
)
def test_a_class_is_found_by_name_or_number(name: str, index: int | None) -> None:
    assert find_class(name, LABELS) == index


def test_labels_may_hold_commas() -> None:
    labels = ("tench, Tinca tinca", "goldfish", "shark")
    assert parse_classes(["tench, Tinca tinca", "1,shark"], labels) == (0, 1, 2)
    with pytest.raises(UsageError, match="no class 'trout'"):
        parse_classes(["goldfish,trout"], labels)


def test_id2label_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"id2label": {"2": "k", "1": "c", "0": "a"}}')
    assert find_labels(replace(MODEL, path=tmp_path / "model.onnx"), 3, None) == ("a", "c", "k")


def test_wrong_number_of_labels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("a\nb\n")
    with pytest.raises(InputRefusedError, match="names 2 classes, but the model has 3"):
        find_labels(replace(MODEL, path=tmp_path / "model.onnx"), 3, None)


def test_of_many_labels_those_spelled_alike_are_suggested() -> None:
    labels = (*(f"label {index}" for index in range(990)), "goldfish")
    with pytest.raises(UsageError) as raised:
        parse_classes(["goldfsh"], labels)
    assert raised.value.remedy == (
        "Did you mean goldfish? It has 991 classes: give an index from 0 to 990."
    )
