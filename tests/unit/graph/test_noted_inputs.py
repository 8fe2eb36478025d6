"""What a command has opened, and what it may not do to it."""

import os
from pathlib import Path

import pytest

from nhle_onnx.graph.inputs import (
    check_inputs,
    is_input,
    is_special,
    limit_permissions,
    note_model,
    remember_inputs,
    watch_inputs,
)
from nhle_onnx.graph.regular_files import read_regular
from support.assertions import assert_refuses


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a"
    path.write_text("a")
    return path


def write_other(file: Path) -> Path:
    path = file.with_name("other")
    path.write_text("other")
    return path


def test_what_was_read_is_an_input_under_any_name(file: Path) -> None:
    other, link, hard = write_other(file), file.with_name("link"), file.with_name("hard")
    link.symlink_to(file)
    hard.hardlink_to(file)
    with remember_inputs():
        assert not is_input(file)
        read_regular(file)
        assert all(map(is_input, (file, link, hard)))
        assert not is_input(other)
    assert not is_input(file)
    read_regular(file)
    assert not is_input(file)


def test_what_is_watched_is_an_input(file: Path) -> None:
    other = write_other(file)
    with remember_inputs():
        watch_inputs([file.with_name("none"), file])
        watch_inputs([file.with_name("gone")])
        assert is_input(file)
        assert not is_input(other)
        read_regular(other)
        assert is_input(other)


def test_samples_that_change_are_noticed(file: Path) -> None:
    other = write_other(file)
    with remember_inputs():
        watch_inputs([file])
        watch_inputs([other, file])
        check_inputs()
        os.utime(file, (1, 1))
        error = assert_refuses(check_inputs)
        assert error.reason == f"{file} was changed by another process while it was in use"
        watch_inputs([file])
        error = assert_refuses(check_inputs)
        assert error.reason.startswith(f"a file in {file.parent} was changed by another process")
        watch_inputs([other, file])
        check_inputs()


def test_samples_that_changed_end_a_command(file: Path) -> None:
    @remember_inputs()
    def use() -> None:
        watch_inputs([file])
        file.unlink()

    error = assert_refuses(use, f"{file} was changed by another process while it was in use")
    assert error.remedy == "Run this again when no other process writes the file."
    check_inputs()  # nothing is remembered any more


def test_an_error_of_the_command_itself_comes_first(file: Path) -> None:
    @remember_inputs()
    def use() -> None:
        watch_inputs([file])
        file.unlink()
        raise KeyError

    with pytest.raises(KeyError):
        use()


def test_results_are_as_private_as_all_models(file: Path) -> None:
    assert limit_permissions(0o666) == 0o666
    with remember_inputs():
        assert limit_permissions(0o666) == 0o666
        for mode, allowed in ((0o644, 0o644), (0o460, 0o640), (0o600, 0o600)):
            file.chmod(mode)
            note_model(file.stat())
            assert limit_permissions(0o666) == allowed
    note_model(file.stat())
    assert limit_permissions(0o666) == 0o666


def test_special_files(file: Path) -> None:
    os.mkfifo(file.with_name("pipe"))
    assert is_special(file.with_name("pipe"))
    assert is_special(Path("/dev/null"))
    assert not is_special(file)
