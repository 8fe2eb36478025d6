"""Files that lie beside a model and describe it."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

_FOLDER_OF_FILES = "onnx"  # in a repository of Hugging Face; what describes it lies one folder up


def find_beside(model: Path, names: Sequence[str]) -> Iterator[Path]:
    """Return the files with these names beside a model, in this order; then those one folder up, if
    the model lies in a folder called `onnx`.
    """
    for folder in _list_folders(model.parent):
        for name in names:
            if (path := folder / name).is_file():
                yield path


def _list_folders(folder: Path) -> tuple[Path, ...]:
    if Path(os.path.abspath(folder)).name != _FOLDER_OF_FILES:  # noqa: PTH100 - links stay as named
        return (folder,)
    return folder, Path(os.path.normpath(folder / os.pardir))
