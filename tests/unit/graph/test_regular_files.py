"""Names and files that a stranger chose: what is opened, and what is not."""

import ntpath
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nhle_onnx.graph.regular_files import is_inside, open_regular, open_sidecar, read_regular


@given(
    st.lists(
        st.sampled_from(["a", "..", ".", "b.bin", "/", "\\", "C:", "\x1b", " ", ""]), max_size=5
    )
)
def test_a_name_that_stays_inside_does(parts: list[str]) -> None:
    """As the system resolves it, and as Windows would."""
    name = "/".join(parts)
    folder = Path("/folder/of/model")
    if is_inside(name):
        resolved = Path(os.path.normpath(folder / name))
        assert resolved.is_relative_to(folder)
        assert resolved != folder
        on_windows = ntpath.normpath(ntpath.join("F:\\folder", name))
        assert f"{on_windows}\\".startswith("F:\\folder\\")
        assert name.isprintable()
    else:
        harmless = {"a", "b.bin", " "}
        assert not parts or not {*parts} <= harmless


def test_a_file_is_read_up_to_a_size(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"four")
    assert read_regular(tmp_path / "file", max_bytes=4) == b"four"
    with pytest.raises(OSError, match="it has more than 3 bytes"):
        read_regular(tmp_path / "file", max_bytes=3)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with open_regular(tmp_path / "file") as stream:
        assert stream.read() == b"content"
    with open_sidecar(tmp_path, "file") as stream:
        assert stream.read() == b"content"
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with open_regular(tmp_path / "link") as stream:
        assert stream.read() == b"content"
    with pytest.raises(ValueError, match="link is a symbolic link, or lies behind one"):
        open_sidecar(tmp_path, "link")
    (tmp_path / "other").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="other/file is a symbolic link, or lies behind one"):
        open_sidecar(tmp_path, "other/file")
    for path in (tmp_path, Path(os.devnull)):
        with pytest.raises(OSError, match=r"Is a directory|not a regular file"):
            open_regular(path)
