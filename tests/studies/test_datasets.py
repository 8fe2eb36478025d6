"""Data sets in their publishers' formats, written small and read back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from studies.datasets import (
    FOLDERS,
    LOADERS,
    DatasetDamagedError,
    DatasetMissingError,
    Split,
    load_dataset,
)
from support.idx import write_idx, write_idx_split

COUNT = 6  # images a file
Images = np.ndarray


def draw(shape: tuple[int, ...], seed: int) -> Images:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_mnist(folder: Path) -> Split:
    """Returns the training images and labels, as all of these do."""
    images, labels = draw((COUNT, 28, 28), 0), np.arange(COUNT, dtype=np.uint8)
    for part in ("train", "t10k"):
        write_idx_split(folder, part, images, labels)
    return Split(images[..., None], labels.astype(np.int64))


def write_svhn(folder: Path) -> Split:
    images, labels = draw((COUNT, 32, 32, 3), 1), np.array([10, 1, 2, 9, 10, 5], np.uint8)
    for part in ("train", "test"):
        content = {"X": images.transpose(1, 2, 3, 0), "y": labels[:, None]}
        savemat(folder / f"{part}_32x32.mat", content, do_compression=True)
    return Split(images, labels.astype(np.int64) % 10)


def write_cifar(path: Path, images: Images, *labels: Images) -> None:
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    path.write_bytes(np.column_stack([*labels, planes]).tobytes())


def write_cifar10(folder: Path) -> Split:
    images, labels = draw((5 * COUNT, 32, 32, 3), 2), np.arange(5 * COUNT, dtype=np.uint8) % 10
    for index in range(5):
        part = slice(index * COUNT, (index + 1) * COUNT)
        write_cifar(folder / f"data_batch_{index + 1}.bin", images[part], labels[part])
    write_cifar(folder / "test_batch.bin", images[:COUNT], labels[:COUNT])
    return Split(images, labels.astype(np.int64))


def write_cifar100(folder: Path) -> Split:
    images, labels = draw((COUNT, 32, 32, 3), 3), np.array([99, 0, 50, 7, 8, 9], np.uint8)
    for part in ("train", "test"):
        write_cifar(folder / f"{part}.bin", images, labels // 5, labels)
    return Split(images, labels.astype(np.int64))


WRITERS: dict[str, Callable[[Path], Split]] = {
    "mnist": write_mnist,
    "fashion_mnist": write_mnist,
    "svhn": write_svhn,
    "cifar10": write_cifar10,
    "cifar100": write_cifar100,
}
PLACES = [(name, folder) for name, folders in FOLDERS.items() for folder in folders]


def make_dataset(root: Path, name: str, folder: str) -> Split:
    (root / folder).mkdir()
    return WRITERS[name](root / folder)


@pytest.mark.parametrize(("name", "folder"), PLACES)
def test_images_and_labels_are_read_as_published(tmp_path: Path, name: str, folder: str) -> None:
    expected = make_dataset(tmp_path, name, folder)
    dataset = load_dataset(name, tmp_path)
    np.testing.assert_array_equal(dataset.train.images, expected.images)
    np.testing.assert_array_equal(dataset.train.labels, expected.labels)
    np.testing.assert_array_equal(dataset.test.images, expected.images[:COUNT])
    np.testing.assert_array_equal(dataset.test.labels, expected.labels[:COUNT])
    assert dataset.train.images.dtype == np.uint8
    assert dataset.train.labels.dtype == np.int64
    assert dataset.num_classes == (100 if name == "cifar100" else 10)


@pytest.mark.parametrize("name", LOADERS)
def test_an_absent_folder_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetMissingError, match=f"{name}: no .*{FOLDERS[name][0]}"):
        load_dataset(name, tmp_path)


@pytest.mark.parametrize(("name", "folder"), PLACES)
def test_every_absent_file_is_named(tmp_path: Path, name: str, folder: str) -> None:
    make_dataset(tmp_path, name, folder)
    for path in (tmp_path / folder).iterdir():
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(DatasetMissingError, match=path.name):
            load_dataset(name, tmp_path)
        path.write_bytes(content)


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_every_truncated_file_is_named(tmp_path: Path, name: str, part: float) -> None:
    folder = FOLDERS[name][0]
    make_dataset(tmp_path, name, folder)
    for path in (tmp_path / folder).iterdir():
        content = path.read_bytes()
        path.write_bytes(content[: int(part * len(content))])
        with pytest.raises(DatasetDamagedError, match=path.name):
            load_dataset(name, tmp_path)
        path.write_bytes(content)


@pytest.mark.parametrize("name", LOADERS)
def test_a_file_of_another_format_is_named(tmp_path: Path, name: str) -> None:
    folder = FOLDERS[name][0]
    make_dataset(tmp_path, name, folder)
    for path in (tmp_path / folder).iterdir():
        content = path.read_bytes()
        path.write_bytes(b"<html>not found</html>")
        with pytest.raises(DatasetDamagedError, match=path.name):
            load_dataset(name, tmp_path)
        path.write_bytes(content)


def test_labels_without_an_image_are_refused(tmp_path: Path) -> None:
    make_dataset(tmp_path, "mnist", "mnist")
    write_idx(tmp_path / "mnist" / "train-labels-idx1-ubyte.gz", np.zeros(COUNT + 1, np.uint8))
    with pytest.raises(DatasetDamagedError, match="mnist"):
        load_dataset("mnist", tmp_path)


def test_labels_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    make_dataset(tmp_path, "cifar10", "cifar10")
    path = tmp_path / "cifar10" / "test_batch.bin"
    path.write_bytes(b"\x0a" + path.read_bytes()[1:])
    with pytest.raises(DatasetDamagedError, match="cifar10"):
        load_dataset("cifar10", tmp_path)
