"""Folders as people have them: what is read, what is skipped, and what is said."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nhle_onnx.data.samples import open_samples, read_unlabelled
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.values.preprocess import Preprocess
from support.inputs import make_input

CATS = ("cat", "dog", "crème brûlée", "n01440764 tench, Tinca tinca")
DIGITS = tuple("123456789")
DOUBLED = ("crane", "maillot", "crane", "Cardigan", "cardigan", "A", "a")
TARGET = make_input(1, 2, 2)
PREPROCESS = Preprocess(source="test", size=(2, 2))
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n"


def fill(root: Path, *files: str) -> None:
    """Write a small image, or a text, at each path."""
    for number, name in enumerate(files):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in {".png", ".jpg", ".bmp", ".webp", ".jfif"}:
            kind = "JPEG" if path.suffix == ".jfif" else None
            Image.new("L", (2, 2), number % 256).save(path, kind)
        else:
            path.write_bytes(b"x")


def link(root: Path, name: str, to: str) -> None:
    (root / name).symlink_to(root / to)


def decompose(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def write_turned(root: Path) -> None:
    """A photo that is stored across, and says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (root / "cat").mkdir()
    image = Image.fromarray(np.arange(0, 192, 48, np.uint8).reshape(2, 2))
    image.save(root / "cat/x.png", exif=exif)


def write_pointer(root: Path) -> None:
    fill(root, "cat/a.png")
    (root / "cat/b.png").write_bytes(POINTER)


Fill = Callable[[Path], None]
Read = tuple[Fill, tuple[str, ...], list[int], tuple[str, ...]]


def given(*files: str) -> Fill:
    return lambda root: fill(root, *files)


# Files, the labels, the classes that are read, and parts of what is said.
READ: dict[str, Read] = {
    "flat": (given("cat/a.png", "dog/b.png"), CATS, [0, 1], ()),
    "indices": (given("0/a.png", "3/b.png"), CATS, [0, 3], ()),
    "another case": (given("CAT/a.png", "Dog/b.png"), CATS, [0, 1], ()),
    "NFD names": (given(f"{decompose('crème brûlée')}/a.png"), CATS, [2], ()),
    "synsets": (given("n01440764/a.png"), CATS, [3], ()),
    "a synonym": (given("Tinca tinca/a.png"), CATS, [3], ()),
    "signs": (given("creme_brulee/a.png", "cat/a.png"), ("cat", "creme-brulee"), [0, 1], ()),
    "nested": (given("cat/camera1/a.png", "cat/camera2/b.png", "dog/c.png"), CATS, [0, 0, 1], ()),
    "numbers below a class": (given("cat/1/a.png", "cat/3/b.png"), CATS, [0, 0], ()),
    "super-classes": (given("pets/cat/a.png", "pets/dog/b.png"), CATS, [0, 1], ()),
    "the class again": (given("cat/images/cat/a.png"), CATS, [0], ()),
    "hidden folders": (
        given("cat/a.png", "cat/.ipynb_checkpoints/b.png"), CATS, [0],
        ("read 1 of 2 files", "1 hidden or system"),
    ),
    "a NAS": (given("cat/a.png", "@eaDir/cat/b.png"), CATS, [0], ("1 hidden or system",)),
    "a Mac": (
        given("cat/a.png", "cat/._a.png", "cat/.DS_Store", "__MACOSX/cat/a.png"), CATS, [0],
        ("3 hidden or system are not read",),
    ),
    "Windows": (given("cat/a.png", "cat/Thumbs.db", "cat/desktop.ini"), CATS, [0], ("2 hidden",)),
    "tif beside png": (
        given("cat/a.png", "cat/b.tif", "cat/c.TIFF"), CATS, [0],
        ("read 1 of 3 files", "1 .tif", "1 .tiff", "are not read"),
    ),
    "a gif": (given("cat/a.png", "dog/b.gif"), CATS, [0], ("read 1 of 2", "1 .gif is not read")),
    "notes of the camera": (given("cat/a.png", "cat/a.xml"), CATS, [0], ("1 .xml is not read",)),
    "files that are no images": (given("cat/a.png", "README.md", "labels.txt"), CATS, [0], ()),
    "images outside": (
        given("cat/a.png", "x.png", "y.jpg"), CATS, [0],
        ("read 1 of 3 files", "2 outside of class folders are not read"),
    ),
    "all suffixes": (
        given("cat/a.png", "cat/b.JPG", "cat/c.bmp", "cat/d.webp", "cat/e.jfif"), CATS, [0] * 5, ()
    ),
    "an empty class": (given("cat/a.png", "dog/.keep"), CATS, [0], ("1 hidden",)),
    "a folder without images": (given("cat/a.png", "notes/a.txt"), CATS, [0], ("1 .txt",)),
    "numbers sort as numbers": (given("0/10.png", "0/9.png", "2/a.png"), CATS, [0, 0, 2], ()),
    "numbers that are labels": (given("1/a.png", "9/b.png"), DIGITS, [0, 8], ()),
    "numbers that are indices": (given("0/a.png", "8/b.png"), DIGITS, [0, 8], ()),
    "a prefix decides": (given("index:3/a.png", "label:3/b.png"), DIGITS, [2, 3], ()),
    "a label that is there twice, by index": (given("0/a.png", "2/b.png"), DOUBLED, [0, 2], ()),
    "labels that differ in case": (given("A/a.png", "Cardigan/b.png"), DOUBLED, [3, 5], ()),
    "a class called train": (given("train/a.png", "cat/b.png"), ("cat", "train"), [0, 1], ()),
    "a link that leads back": (
        lambda root: (fill(root, "cat/a.png"), link(root / "cat", "again", "."))[1], CATS, [0], ()
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_what_is_read(case: str, tmp_path: Path) -> None:
    write, labels, classes, said = READ[case]
    write(tmp_path)
    source = open_samples(tmp_path, TARGET, PREPROCESS, labels)
    assert sorted(source.classes.tolist()) == classes
    assert len(source.read(range(len(classes)))) == len(classes)
    note = " ".join(source.notes)
    assert bool(note) == bool(said)
    assert all(part in note for part in said)


# Files, the labels, what is given below the root, and what is said.
REFUSED: dict[str, tuple[Fill, tuple[str, ...], str, str]] = {
    "splits": (given("train/cat/a.png", "val/cat/b.png"), CATS, "", "split folders train, val"),
    "one split": (given("train/cat/a.png"), CATS, "", "split folders train"),
    "in capitals": (given("Test/cat/a.png", "Training/dog/a.png"), CATS, "", "Test, Training"),
    "a folder of one class": (given("cat/a.png"), CATS, "cat", "is the folder of one class"),
    "a folder of one index": (given("3/a.png"), CATS, "3", "is the folder of one class"),
    "no folders": (given("a.png", "b.png"), CATS, "", "holds 2 images, but no folders of classes"),
    "nothing": (given("cat/.keep"), CATS, "", "holds no images"),
    "other formats only": (given("cat/a.tif", "cat/b.tif"), CATS, "", "that are read: 2 .tif"),
    "no class": (given("bird/a.png"), CATS, "", "bird is not named after a class"),
    "a misspelt class": (given("catt/a.png"), CATS, "", "catt is not named after a class"),
    "an index too high": (given("4/a.png"), CATS, "", "4 is not named after a class"),
    "a long number": (given(f"{'9' * 99}/a.png"), CATS, "", "9 is not named after a class"),
    "a label that is there twice": (given("crane/a.png"), DOUBLED, "", "class 0 'crane' and 2"),
    "a case that neither label has": (given("CARDIGAN/a.png"), DOUBLED, "", "3 'Cardigan' and 4"),
    "two classes in one path": (given("cat/dog/a.png"), CATS, "", "in folders of two classes"),
    "a single image": (given("a.png"), CATS, "a.png", "is a single image"),
    "a single scan": (given("a.tiff"), CATS, "a.tiff", "is a single image"),
    "a folder named as an image": (given("cat/a.png/b.png"), CATS, "", "not a regular file"),
    "a broken link": (
        lambda root: (fill(root, "cat/a.png"), link(root, "cat/b.png", "no"))[1], CATS, "",
        "b.png is named as an image, but is not a regular file",
    ),
    "a folder that is not there": (given("cat/a.png"), CATS, "cats", "cats does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, tmp_path: Path) -> None:
    write, labels, below, said = REFUSED[case]
    write(tmp_path)
    with pytest.raises(InputRefusedError) as raised:
        open_samples(tmp_path / below, TARGET, PREPROCESS, labels)
    assert said in raised.value.reason
    assert raised.value.remedy


def test_remedies_say_what_was_meant(tmp_path: Path) -> None:
    fill(tmp_path, "one/train/cat/a.png", "one/val/cat/a.png", "two/catt/a.png", "cat/a.png")
    for below, remedy in (
        ("one", str(tmp_path / "one/val")),
        ("two", "Did you mean cat? "),
        ("cat", f"Give its parent, {tmp_path}."),
        ("on", "Did you mean one? "),
    ):
        with pytest.raises(InputRefusedError) as raised:
            open_samples(tmp_path / below, TARGET, PREPROCESS, CATS)
        assert remedy in raised.value.remedy


def test_a_pointer_is_named_for_what_it_is(tmp_path: Path) -> None:
    write_pointer(tmp_path)
    with pytest.raises(InputRefusedError, match=r"b.png is a Git LFS pointer, not the file"):
        open_samples(tmp_path, TARGET, PREPROCESS, CATS).read([1])
    (tmp_path / "x.npz").write_bytes(POINTER)
    with pytest.raises(InputRefusedError, match=r"x.npz is a Git LFS pointer"):
        open_samples(tmp_path / "x.npz", TARGET, PREPROCESS, CATS)


@pytest.mark.parametrize("upright", [True, False])
def test_photos_are_turned_where_the_processor_turns_them(tmp_path: Path, upright: bool) -> None:  # noqa: FBT001
    write_turned(tmp_path)
    preprocess = Preprocess(source="test", size=(2, 2), upright=upright, scale=1.0)
    pixels = open_samples(tmp_path, TARGET, preprocess, CATS).read([0])[0, 0]
    stored = np.arange(0, 192, 48).reshape(2, 2)
    np.testing.assert_array_equal(pixels, np.rot90(stored, -1) if upright else stored)


# Files, what is given as --anchors, how many stay of them, and what is said.
ANCHORS: dict[str, tuple[Fill, str, int, str]] = {
    "flat": (given("cat/a.png", "dog/b.png", "x.png"), "", 2, "1 in folders of a forgotten class"),
    "nested": (given("cat/camera1/a.png", "dog/camera1/b.png"), "", 1, "read 1 of 2"),
    "nested deeper": (given("a/b/cat/c/d/a.png", "a/b/dog/c/d/b.png"), "", 1, "read 1 of 2"),
    "splits": (given("train/cat/a.png", "val/cat/b.png", "val/dog/c.png"), "", 1, "2 in folders"),
    "by index": (given("0/x/a.png", "1/b.png"), "", 1, "1 in folders"),
    "in another case": (given("Cat/x/a.png", "b.png"), "", 1, "1 in folders"),
    "by prefix": (given("index:0/a.png", "b.png"), "", 1, "1 in folders"),
    "a list": (given("cat/a.png", "dog/b.png", "list.txt"), "list.txt", 1, "1 in folders"),
    "hidden": (given("dog/b.png", ".cat/a.png"), "", 1, "1 hidden or system"),
}


@pytest.mark.parametrize("case", ANCHORS)
def test_a_forgotten_class_is_never_an_anchor(case: str, tmp_path: Path) -> None:
    write, below, count, said = ANCHORS[case]
    write(tmp_path)
    (tmp_path / "list.txt").write_text("# mine\ncat/a.png\n\ndog/b.png\n")
    kept, notes = read_unlabelled(tmp_path / below, TARGET, PREPROCESS, CATS, (0,))
    assert len(kept) == count
    assert said in " ".join(notes)


@pytest.mark.parametrize("below", ["cat", "cat/deep", "list.txt"])
def test_anchors_of_a_forgotten_class_alone_are_refused(below: str, tmp_path: Path) -> None:
    fill(tmp_path, "cat/deep/cat/a.png")
    (tmp_path / "list.txt").write_text(str(tmp_path / "cat/deep/cat/a.png"))
    with pytest.raises(InputRefusedError, match="holds only images of forgotten classes"):
        read_unlabelled(tmp_path / below, TARGET, PREPROCESS, CATS, (0,))


def test_a_link_to_a_forgotten_class_is_one(tmp_path: Path) -> None:
    fill(tmp_path, "all/cat/a.png", "some/dog/b.png")
    link(tmp_path, "some/pets", "all/cat")
    kept, _ = read_unlabelled(tmp_path / "some", TARGET, PREPROCESS, CATS, (0,))
    assert len(kept) == 1


def test_an_ambiguous_folder_is_left_out_for_each_class_that_it_may_be(tmp_path: Path) -> None:
    fill(tmp_path, "crane/a.png", "b.png")
    for forget in (0, 2):
        kept, _ = read_unlabelled(tmp_path, TARGET, PREPROCESS, DOUBLED, (forget,))
        assert len(kept) == 1
