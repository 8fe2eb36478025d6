"""A full disk, a folder nobody may write to, and other processes at the same files."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import onnx
import pytest

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph import model_files, save
from nhle_onnx.release import signature
from nhle_onnx.workflows import kit, patch_create, unlearn
from support.runs import Nhle, Result
from support.shipped import EVALUATION, LENET, SAMPLES
from support.signing_keys import write_pair

MASK = ("unlearn", LENET, "--forget", 3, "--method", "cwm", "--samples", SAMPLES, "--quiet")


@pytest.fixture(params=["nameless", "named"])
def temporaries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems with files that have no name, and those without."""
    if request.param == "named":
        monkeypatch.setattr(save, "_DESCRIPTORS", Path("/nowhere"))


def mount(folder: Path, *options: str) -> None:
    command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode != 0:
        pytest.skip("a file system cannot be mounted here")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Room for less than LeNet-5 takes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "-o", "size=128k")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def make_patch(nhle: Nhle, folder: Path) -> Path:
    edited, patch = folder / "edited.onnx", folder / "made.nhlepatch"
    assert nhle(*MASK, "--out", edited).code == 0
    assert nhle("patch", "create", LENET, edited, "-o", patch).code == 0
    return patch


def assert_nothing_is_written(result: Result, folder: Path, reason: str) -> None:
    assert result.code == 3, result.err
    assert reason in result.err
    assert "remedy:" in result.err
    assert "Traceback" not in result.err
    assert list(folder.iterdir()) == []


def test_a_full_disk_gets_no_half_file(nhle: Nhle, tmp_path: Path, small_disk: Path) -> None:
    patch, out = make_patch(nhle, tmp_path), small_disk / "out.onnx"
    kit_command = ("kit", LENET, "--forget", 3, "--data", EVALUATION, "--quiet", "-o", out)
    for arguments, reason in (
        ((*MASK, "--out", out), "cannot be written: No space left on device"),
        (("patch", "apply", LENET, patch, "-o", out), "131,072 free"),
        (kit_command, "cannot be written: No space left on device"),
    ):
        assert_nothing_is_written(nhle(*arguments), small_disk, reason)


def test_a_disk_mounted_read_only_is_named(nhle: Nhle, tmp_path: Path, small_disk: Path) -> None:
    patch, out = make_patch(nhle, tmp_path), small_disk / "out.onnx"
    mount(small_disk, "-o", "remount,ro")
    for arguments in (
        (*MASK, "--out", out),
        ("patch", "apply", LENET, patch, "-o", out),
        ("patch", "create", LENET, patch.with_name("edited.onnx"), "-o", out),
        ("kit", LENET, "--forget", 3, "--data", EVALUATION, "--quiet", "-o", out),
    ):
        reason = "cannot be written: Read-only file system"
        assert_nothing_is_written(nhle(*arguments), small_disk, reason)


@pytest.mark.usefixtures("temporaries")
def test_a_disk_that_fills_late_keeps_neither_file(tmp_path: Path) -> None:
    """The first file of two was already written."""

    def fail(stream: BinaryIO) -> None:
        stream.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writers: dict[Path, Callable[[BinaryIO], Any]] = {
        tmp_path / "first": lambda stream: stream.write(b"whole"),
        tmp_path / "second": fail,
    }
    with pytest.raises(InputRefusedError, match="second cannot be written: No space"):
        save.write_streams(writers, force=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("temporaries")
@pytest.mark.parametrize("taken", ["first", "second"])
def test_an_output_that_comes_into_being_meanwhile(tmp_path: Path, taken: str) -> None:
    names = ("first", "second")
    writers = {tmp_path / name: lambda stream: stream.write(b"ours") for name in names}

    def disturb() -> None:
        (tmp_path / taken).write_text("theirs")

    with pytest.raises(InputRefusedError, match=f"{taken} already exists"):
        save.write_streams(writers, force=False, confirm=disturb)
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_text() == "theirs"
    save.write_streams(writers, force=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        names, "ours"
    )


@pytest.mark.usefixtures("temporaries")
def test_files_are_as_readable_as_the_user_wants(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save.write_files({tmp_path / "made": b"content"}, force=False)
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "made").stat().st_nlink == 1


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(save, "_DESCRIPTORS", Path("/nowhere"))
    monkeypatch.setattr(os, "link", refuse)
    save.write_files({tmp_path / "made": b"1"}, force=False)
    with pytest.raises(InputRefusedError, match="already exists"):
        save.write_files({tmp_path / "made": b"2"}, force=False)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"1"]


def test_two_runs_with_the_same_output(tmp_path: Path) -> None:
    """Both pass the check at the start; one of them wins, with all of its files."""
    out = tmp_path / "edited.onnx"
    arguments = ("unlearn", LENET, "--method", "cwm", "--samples", SAMPLES, "--quiet", "--out", out)
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "nhle_onnx", *map(str, arguments), "--forget", index],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for index in ("3", "5")
    ]
    errors = [run.communicate(timeout=120)[1] for run in runs]
    codes = [run.returncode for run in runs]
    assert sorted(codes) == [0, 3], errors
    assert "already exists" in errors[codes.index(3)]
    report = json.loads(out.with_suffix(".report.json").read_text("utf-8"))
    assert report["forget"] == [(3, 5)[codes.index(0)]]
    assert report["edited"]["sha256"] == sha256(out.read_bytes()).hexdigest()
    assert len(list(tmp_path.glob("edited.*"))) == 2


def change_before(monkeypatch: pytest.MonkeyPatch, place: tuple[Any, str], victim: Path) -> None:
    """Let another process write a file right before a function is called."""
    module, name = place
    function = getattr(module, name)

    def call(*arguments: object, **values: object) -> object:
        victim.write_bytes(victim.read_bytes() + b"\0")
        return function(*arguments, **values)

    monkeypatch.setattr(module, name, call)


def test_a_kit_holds_the_model_that_it_measured(
    nhle: Nhle, lenet_copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    change_before(monkeypatch, (kit, "pick_images"), lenet_copy)
    out = tmp_path / "kit.zip"
    result = nhle("kit", lenet_copy, "--forget", 3, "--data", EVALUATION, "--quiet", "-o", out)
    assert result.code == 3
    assert "model.onnx was changed by another process" in result.err
    assert not out.exists()


def test_a_patch_is_of_the_models_that_were_read(
    nhle: Nhle, lenet_copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    change_before(monkeypatch, (patch_create, "read_model_files"), lenet_copy)
    out = tmp_path / "made.nhlepatch"
    result = nhle("patch", "create", lenet_copy, LENET, "-o", out)
    assert result.code == 3
    assert "was changed by another process" in result.err
    assert not out.exists()


def test_weights_that_change_in_training(
    nhle: Nhle, lenet_copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They were read once: the edited file holds what was measured, not what lies there now."""
    before = {tensor.name: tensor.raw_data for tensor in onnx.load(lenet_copy).graph.initializer}
    onnx.save_model(
        onnx.load(lenet_copy),
        lenet_copy,
        save_as_external_data=True,
        location="w",
        size_threshold=0,
    )
    change_before(monkeypatch, (unlearn, "_write_back"), lenet_copy.with_name("w"))
    out = tmp_path / "edited.onnx"
    result = nhle(
        "unlearn", lenet_copy, "--forget", 3, "--method", "cwm", "--samples", SAMPLES,
        "--out", out,
    )  # fmt: skip
    assert result.code == 0
    after = {tensor.name: tensor.raw_data for tensor in onnx.load(out).graph.initializer}
    changed = [name for name in before if before[name] != after[name]]
    assert changed == ["classifier.weight", "classifier.bias"]


def test_sign_names_the_bytes_that_it_signed(
    nhle: Nhle, lenet_copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not those that lay there a moment earlier."""
    private, public = write_pair(tmp_path)
    change_before(monkeypatch, (signature, "write_files"), lenet_copy)
    signed = sha256(lenet_copy.read_bytes()).hexdigest()
    result = nhle("sign", lenet_copy, "--key", private, "--json")
    assert json.loads(result.out)["files"] == [{"name": "model.onnx", "sha256": signed}]
    assert nhle("check-signature", lenet_copy, "--key", public).code == 3


def test_files_that_vanish_were_changed(lenet_copy: Path) -> None:
    from nhle_onnx.graph.load import load_model  # noqa: PLC0415

    model = load_model(lenet_copy)
    assert model_files.read_model_files(model) == {"model.onnx": lenet_copy.read_bytes()}
    lenet_copy.unlink()
    with pytest.raises(InputRefusedError, match="was changed by another process"):
        model_files.read_model_files(model)
