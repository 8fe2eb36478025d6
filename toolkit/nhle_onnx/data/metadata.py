"""An image folder with `metadata.csv` or `metadata.jsonl`, as Hugging Face `datasets` reads it."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from nhle_onnx.data.encoded import LABEL_COLUMNS, read_class
from nhle_onnx.data.folders import TABLES, FolderSamples
from nhle_onnx.data.tree import check_regular, describe_skipped, scan
from nhle_onnx.errors import InputRefusedError, refuse_unreadable
from nhle_onnx.graph.inputs import watch_inputs
from nhle_onnx.graph.regular_files import read_text
from nhle_onnx.values.preprocess import ImageInput, Preprocess

STATE, INFO = "state.json", "dataset_info.json"  # of a data set that was saved to disk
_SPLITS = "dataset_dict.json"
_FILE = "file_name"
_REMEDY = f"It needs {_FILE} and label in each row, with paths below its folder."


def find_metadata(path: Path) -> Path | None:
    """Find the table of an image folder."""
    return next((path / name for name in TABLES if (path / name).is_file()), None)


def is_saved(path: Path) -> bool:
    """Whether a folder is a data set that was saved to disk."""
    return (path / STATE).is_file() and (path / INFO).is_file()


def refuse_splits(path: Path) -> None:
    """Refuse a saved data set of several splits: only the user knows which one is meant."""
    if (path / _SPLITS).is_file():
        splits = sorted(item.name for item in path.iterdir() if is_saved(item))
        message = f"{path} holds the splits {', '.join(splits)}"
        raise InputRefusedError(message, remedy="Give the folder of one split.")


def open_described(
    path: Path, target: ImageInput, preprocess: Preprocess, labels: Sequence[str]
) -> FolderSamples:
    """Open the images that a folder's table lists. Raises InputRefusedError."""
    table = find_metadata(path)
    if table is None:
        message = f"{path} no longer holds its metadata"
        raise InputRefusedError(message, remedy="Do not change the samples while they are in use.")
    listed = [_read_row(table, row, labels) for row in _read_rows(table)]
    if not listed:
        raise InputRefusedError(f"{table} lists no images", remedy=_REMEDY)
    files = tuple(file for file, _ in listed)
    for file in files:
        check_regular(file)
    watch_inputs(files)
    tree = scan(path)
    others = {image.path for image in tree.images} - set(files)
    skipped = Counter({f"not in {table.name}": len(others)}) if others else Counter[str]()
    return FolderSamples(
        path=path,
        files=files,
        classes=np.array([found for _, found in listed], np.int64),
        target=target,
        preprocess=preprocess,
        notes=describe_skipped(path, len(files), skipped),
    )


def _read_rows(table: Path) -> list[Mapping[str, Any]]:
    try:
        return list(_parse_rows(table))
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        raise refuse_unreadable(table, error, _REMEDY) from error


def _parse_rows(table: Path) -> Iterator[Mapping[str, Any]]:
    lines = read_text(table, "utf-8-sig").splitlines()
    if table.suffix == ".csv":
        yield from csv.DictReader(lines)
    else:
        yield from (json.loads(line) for line in lines if line.strip())


def _read_row(table: Path, row: Mapping[str, Any], labels: Sequence[str]) -> tuple[Path, int]:
    """Return an image's path and class."""
    is_table = isinstance(row, Mapping) and isinstance(row.get(_FILE), str)
    name = PurePosixPath(row[_FILE] if is_table else "..")
    written = next((row[key] for key in LABEL_COLUMNS if key in row), None) if is_table else None
    leads_out = name.is_absolute() or ".." in name.parts
    if leads_out or not isinstance(written, str | int) or isinstance(written, bool):
        raise InputRefusedError(f"{table} has the row {str(row)[:99]}", remedy=_REMEDY)
    return table.parent / name, read_class(f"{table}: {name}", written, labels)
