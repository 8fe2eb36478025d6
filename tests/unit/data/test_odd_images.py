"""Odd images that are honest: read as Pillow reads them, without a word. (What is hostile stands
in support.hostile.)
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nhle_onnx.data.samples import open_samples
from nhle_onnx.values.preprocess import ImageInput, Preprocess
from support.runs import Nhle
from support.shipped import LENET, SAMPLES

LABELS = ("0", "1", "2", "3")
PREPROCESS = Preprocess(source="test", scale=1.0)


def draw(mode: str, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)).convert(mode)


def read_one(path: Path, channels: int) -> np.ndarray:
    """Pixels as the model gets them, [H, W, C]."""
    target = ImageInput(
        name="x", dtype="float32", batch=None, channels=channels, height=9, width=7, layout="NHWC"
    )
    return open_samples(path.parents[1], target, PREPROCESS, LABELS).read([0])[0]


def save_transparent_palette(path: Path) -> None:
    draw("P").save(path, transparency=bytes(range(256)))


def save_rotated(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to show it
    draw("RGB").save(path, exif=exif)


SAVES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "cmyk": ("x.jpg", lambda path: draw("CMYK").save(path)),
    "grey": ("x.png", lambda path: draw("L").save(path)),
    "grey with alpha": ("x.png", lambda path: draw("LA").save(path)),
    "alpha": ("x.webp", lambda path: draw("RGBA").save(path, lossless=True)),
    "one bit": ("x.png", lambda path: draw("1").save(path)),
    "palette": ("x.png", lambda path: draw("P").save(path)),
    "transparent palette": ("x.png", save_transparent_palette),
    "orientation": ("x.jpg", save_rotated),
    "animated png": (
        "x.png", lambda path: draw("RGB").save(path, save_all=True, append_images=[draw("RGB", 1)])
    ),
    "animated webp": (
        "x.webp",
        lambda path: draw("RGB").save(
            path, save_all=True, append_images=[draw("RGB", 1)], lossless=True
        ),
    ),
    "another suffix": ("x.png", lambda path: draw("RGB").save(path, "BMP")),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", SAVES)
def test_odd_images_are_read_as_they_are_stored(tmp_path: Path, kind: str, channels: int) -> None:
    name, save = SAVES[kind]
    path = tmp_path / "3" / name
    path.parent.mkdir()
    save(path)
    pixels = read_one(path, channels)
    with Image.open(path) as image:
        image.load()
        if channels < 4:
            image.info.pop("transparency", None)  # of which Pillow would warn
        expected = np.asarray(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]))
    np.testing.assert_array_equal(pixels, expected.reshape(9, 7, channels))


def test_classes_may_be_of_any_integer_type(tmp_path: Path) -> None:
    target = ImageInput(
        name="x", dtype="float32", batch=None, channels=1, height=9, width=7, layout="NHWC"
    )
    images = np.zeros((4, 9, 7), np.uint8)
    for kind in ("u1", "<i2", ">i8", ">u4"):
        np.savez(tmp_path / "x.npz", x=images, y=np.arange(4).astype(kind))
        source = open_samples(tmp_path / "x.npz", target, PREPROCESS, LABELS)
        assert source.classes.tolist() == [0, 1, 2, 3]


def test_a_pipe_is_no_data(nhle: Nhle, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.npz")
    result = nhle("verify", LENET, "--forget", 3, "--data", tmp_path / "data.npz")
    assert result.code == 3
    assert "data.npz is not a regular file" in result.err


@pytest.mark.parametrize("locked", ["folder", "file"])
def test_what_may_not_be_read_is_named(tmp_path: Path, locked: str) -> None:
    shutil.copytree(SAMPLES / "Dress", tmp_path / "3")
    victim = tmp_path / "3" if locked == "folder" else sorted((tmp_path / "3").iterdir())[5]
    command = [sys.executable, "-m", "nhle_onnx", "verify", str(LENET), "--forget", "3", "--quiet"]
    command += ["--data", str(tmp_path)]
    if os.geteuid() == 0:  # root may read anything, unless it gives that up
        if shutil.which("setpriv") is None:
            pytest.skip("root without setpriv can read everything")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    victim.chmod(0)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        victim.chmod(0o755)
    assert done.returncode == 3
    assert victim.name in done.stderr
    assert "Permission denied" in done.stderr
    assert len(done.stderr.splitlines()) == 2
