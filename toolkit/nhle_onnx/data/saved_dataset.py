"""A data set of Hugging Face `datasets` that was saved to disk. Needs pyarrow, from extra `ray`."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nhle_onnx.data.encoded import Encoded, EncodedSamples, read_rows
from nhle_onnx.data.metadata import INFO, STATE
from nhle_onnx.data.parquet import Columns, choose_columns, list_values, pick_bytes, read_stream
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.inputs import watch_inputs
from nhle_onnx.graph.regular_files import read_text
from nhle_onnx.values.preprocess import ImageInput, Preprocess

_REMEDY = "Save it again with `save_to_disk` of datasets, with a column image and a column label."
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrowStore:
    """Images by row; `starts` has the first row of each file, and the end of the last. Files are
    mapped into memory, so that only the rows in use take room.
    """

    files: tuple[Path, ...]
    starts: tuple[int, ...]
    columns: Columns

    @contextmanager
    def open(self) -> Iterator[Callable[[int], Encoded]]:
        """As in ImageStore."""
        opened: dict[int, Any] = {}

        def fetch(index: int) -> Encoded:
            file = int(np.searchsorted(self.starts, index, side="right")) - 1
            if file not in opened:
                opened.clear()  # the previous file
                column = read_stream(self.files[file]).column(self.columns.image)
                opened[file] = pick_bytes(column, self.columns)
            row = index - self.starts[file]
            content = opened[file][row].as_py()
            name = f"{self.files[file]}: row {row}"
            if not isinstance(content, bytes):
                raise InputRefusedError(f"{name} holds no image", remedy=_REMEDY)
            return name, content

        yield fetch


def open_saved(
    path: Path, target: ImageInput, preprocess: Preprocess, labels: Sequence[str]
) -> EncodedSamples:
    """Open the samples of a saved data set; only the classes are read at once."""
    files, features = _describe(path)
    watch_inputs(files)
    columns = choose_columns(read_stream(files[0]).schema, files[0])
    names = features.get(columns.label, {}).get("names")
    starts, classes = read_rows(
        files,
        lambda file: list_values(read_stream(file).column(columns.label), file),
        names,
        labels,
    )
    if not len(classes):
        raise InputRefusedError(f"{path} holds no rows", remedy=_REMEDY)
    return EncodedSamples(
        path=path,
        store=ArrowStore(files=files, starts=starts, columns=columns),
        classes=classes,
        target=target,
        preprocess=preprocess,
    )


def _describe(path: Path) -> tuple[tuple[Path, ...], dict[str, Any]]:
    """Return a data set's files and the description of its columns."""
    try:
        state = json.loads(read_text(path / STATE))
        features = json.loads(read_text(path / INFO))["features"]
        # only the names: files lie in the folder itself
        files = tuple(path / Path(each["filename"]).name for each in state["_data_files"])
        if not files or not isinstance(features, dict):
            raise ValueError("it lists no files")
    except _DAMAGE as error:
        message = f"{path} cannot be read as a saved data set: {error}"
        raise InputRefusedError(message, remedy=_REMEDY) from error
    return files, features
