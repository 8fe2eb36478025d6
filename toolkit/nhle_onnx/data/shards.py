"""Samples in large files of many images: tar (WebDataset) or Parquet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nhle_onnx.data.source import SampleSource
from nhle_onnx.data.webdataset import open_tars
from nhle_onnx.values.preprocess import ImageInput, Preprocess

Kind = Literal["tar", "parquet"]
_SUFFIXES: dict[str, Kind] = {".tar": "tar", ".parquet": "parquet"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """Files of one kind, sorted by name; `path` is the user's path."""

    path: Path
    kind: Kind
    files: tuple[Path, ...]


def find_shards(path: Path) -> Shards | None:
    """Find a shard, or the shards of a folder; None if there are none.

    A folder with subfolders is an image folder. In a folder with both kinds, tars are used.
    """
    if path.is_file():
        kind = _SUFFIXES.get(path.suffix.lower())
        return Shards(path=path, kind=kind, files=(path,)) if kind else None
    if not path.is_dir():
        return None
    items = sorted(path.iterdir())
    if any(item.is_dir() for item in items):
        return None
    for suffix, kind in _SUFFIXES.items():
        files = tuple(item for item in items if item.suffix.lower() == suffix and item.is_file())
        if files:
            return Shards(path=path, kind=kind, files=files)
    return None


def open_shards(
    shards: Shards, target: ImageInput, preprocess: Preprocess, labels: Sequence[str]
) -> SampleSource:
    """Open the samples of shards; only the classes are read at once. Raises InputRefusedError."""
    if shards.kind == "tar":
        return open_tars(shards.path, shards.files, target, preprocess, labels)
    from nhle_onnx.data.parquet import open_parquet  # noqa: PLC0415 - pyarrow is an extra

    return open_parquet(shards.path, shards.files, target, preprocess, labels)
