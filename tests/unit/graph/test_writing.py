"""Files out: all of them or none, whole, and nothing lost that was there."""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import pytest

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph import save
from nhle_onnx.graph.save import check_writable, write_files, write_streams
from nhle_onnx.hints import word
from support.assertions import assert_told

NAMES = ("a.bin", "b.bin", "model.onnx")


@pytest.fixture(params=["nameless", "named"])
def _temporary(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With files that have no name until they are whole, and where a system has no such."""
    if request.param == "named":
        monkeypatch.setattr("nhle_onnx.graph.save._DESCRIPTORS", tmp_path / "none")


pytestmark = pytest.mark.usefixtures("_temporary")


def list_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def make(folder: Path, text: bytes) -> dict[Path, bytes]:
    return {folder / name: text + name.encode() for name in NAMES}


def test_what_is_given_is_written(tmp_path: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    write_files(make(tmp_path, b"new "), force=False)
    assert list_files(tmp_path) == {name: b"new " + name.encode() for name in NAMES}
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o666 & ~umask}


@pytest.mark.parametrize("taken", NAMES)
def test_an_existing_file_keeps_all_others_away(taken: str, tmp_path: Path) -> None:
    (tmp_path / taken).write_bytes(b"old")
    with pytest.raises(InputRefusedError) as caught:
        write_files(make(tmp_path, b"new "), force=False)
    assert_told(caught.value, f"{tmp_path / taken} already exists")
    assert "--force" in word(caught.value.remedy, "flags")
    assert list_files(tmp_path) == {taken: b"old"}
    write_files(make(tmp_path, b"new "), force=True)
    assert list_files(tmp_path) == {name: b"new " + name.encode() for name in NAMES}


def test_systems_without_links_or_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As memory cards and Windows: a file is renamed instead. One without a name must be linked."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.delattr(os, "fchmod")
    monkeypatch.setattr(os, "link", refuse)
    is_named = not save._DESCRIPTORS.is_dir()
    with nullcontext() if is_named else pytest.raises(InputRefusedError, match="cannot be written"):
        write_files(make(tmp_path, b"new "), force=False)
    written = {name: b"new " + name.encode() for name in NAMES} if is_named else {}
    assert list_files(tmp_path) == written


@pytest.mark.parametrize("force", [False, True])
def test_a_failure_leaves_things_as_they_were(
    force: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
) -> None:
    """In what makes the second file, or in the last look before all are put into place."""
    old = dict.fromkeys(NAMES, b"old") if force else {}
    for name, content in old.items():
        (tmp_path / name).write_bytes(content)

    def write(stream: BinaryIO) -> None:
        stream.write(b"new")

    def fail(*_: object) -> None:
        raise KeyError

    good = dict.fromkeys((tmp_path / name for name in NAMES), write)
    with pytest.raises(KeyError):
        write_streams({**good, tmp_path / "b.bin": fail}, force=force)
    assert list_files(tmp_path) == old
    with pytest.raises(KeyError):
        write_streams(good, force=force, confirm=fail)
    assert list_files(tmp_path) == old
    write_streams(good, force=force)
    assert list_files(tmp_path) == dict.fromkeys(NAMES, b"new")


@pytest.mark.parametrize("commit_marker", [None, "a.bin"])
def test_the_seal_goes_first_and_comes_last(
    commit_marker: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds it finds the files that belong to it: as seen before each file's coming."""
    last = commit_marker or NAMES[-1]
    for name in NAMES:
        (tmp_path / name).write_bytes(b"old")
    seen: list[dict[str, bytes]] = []
    replace = Path.replace

    def look(source: Path, target: Path) -> Path:
        seen.append({name: each for name, each in list_files(tmp_path).items() if name in NAMES})
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", look)
    write_files(
        make(tmp_path, b"new "),
        force=True,
        commit_marker=tmp_path / commit_marker if commit_marker else None,
    )
    assert len(seen) == len(NAMES)
    assert all(last not in each for each in seen)
    others = {name: b"new " + name.encode() for name in NAMES if name != last}
    assert seen[-1] == others
    assert list_files(tmp_path) == others | {last: b"new " + last.encode()}


def test_one_file_is_replaced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never goes missing."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "unlink", refuse_unless(Path.unlink, lambda gone: gone != path))
    write_files({path: b"new"}, force=True)
    assert list_files(tmp_path) == {"model.onnx": b"new"}


def refuse_unless(
    call: Callable[..., None], allowed: Callable[[Path], bool]
) -> Callable[..., None]:
    def checked(path: Path, **options: bool) -> None:
        assert allowed(path)
        call(path, **options)

    return checked


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    cases = {
        "folder": f"{tmp_path / 'folder'} is a folder",
        "file": f"{tmp_path / 'file'} already exists",
        "none/x": f"{tmp_path / 'none/x'} cannot be written: No such file or directory",
        "file/x": f"{tmp_path / 'file/x'} cannot be written: Not a directory",
    }
    for name, reason in cases.items():
        with pytest.raises(InputRefusedError) as caught:
            check_writable(tmp_path / name, force=False)
        assert_told(caught.value, reason)
    check_writable(tmp_path / "file", force=True)
    check_writable(tmp_path / "new", force=False)
    with pytest.raises(InputRefusedError) as caught:
        check_writable(tmp_path / "folder", force=True)
    assert_told(caught.value, "is a folder")
    with pytest.raises(InputRefusedError) as caught:
        write_files({tmp_path / "none" / "x": b""}, force=False)
    assert_told(caught.value, "none/x cannot be written: No such file or directory")
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "file"}
