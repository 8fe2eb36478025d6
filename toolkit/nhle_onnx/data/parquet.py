"""Parquet files of images, as Hugging Face writes them. Needs pyarrow, from the extra `ray`."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nhle_onnx.data.encoded import (
    LABEL_COLUMNS,
    Encoded,
    EncodedSamples,
    read_rows,
)
from nhle_onnx.errors import DeviceUnavailableError, InputRefusedError, first_line
from nhle_onnx.graph.inputs import watch_inputs
from nhle_onnx.values.preprocess import ImageInput, Preprocess

try:
    import pyarrow as pa
    from pyarrow import compute, parquet
except ImportError as error:
    _MESSAGE = "Parquet is read with pyarrow, which is not installed"
    raise DeviceUnavailableError(
        _MESSAGE, remedy="In a clone of nhle-onnx: pip install '.[ray]'"
    ) from error

_REMEDY = (
    "It needs a column image (bytes, or a struct with bytes) and a column label (integer or text)."
)
_BATCH_ROWS = 64
_BATCH_BYTES = 2**28
_MAX_ROWS = 2**25
_MAX_TEXT_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The names of the two columns, and whether the image column is a struct with `bytes`."""

    image: str
    label: str
    is_struct: bool

    @property
    def leaf(self) -> str:
        """The part of the image column that is read."""
        return f"{self.image}.bytes" if self.is_struct else self.image


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetStore:
    """Images by row; `starts` has the first row of each file, and the end of the last."""

    files: tuple[Path, ...]
    starts: tuple[int, ...]
    columns: Columns

    @contextmanager
    def open(self) -> Iterator[Callable[[int], Encoded]]:
        """As in ImageStore."""
        rows = _Rows(self)
        yield rows.fetch


class _Rows:
    """Reads forward through files in batches, skipping files and row groups that are not needed."""

    def __init__(self, store: ParquetStore) -> None:
        self._store = store
        self._first, self._batch = 0, pa.array([])
        self._batches: Iterator[tuple[int, Any]] = iter(())
        self._file = -1

    def fetch(self, index: int) -> Encoded:
        store = self._store
        file = int(np.searchsorted(store.starts, index, side="right")) - 1
        if file != self._file:
            self._file, self._first, self._batch = file, 0, pa.array([])
            row = index - store.starts[file]
            self._batches = _read_batches(store.files[file], store.columns, row)
        row = index - store.starts[file]
        while row >= self._first + len(self._batch):
            self._first, self._batch = next(self._batches)
        content = self._batch[row - self._first].as_py()
        name = f"{store.files[file]}: row {row}"
        if not isinstance(content, bytes):
            raise InputRefusedError(f"{name} holds no image", remedy=_REMEDY)
        return name, content


def open_parquet(
    path: Path,
    files: Sequence[Path],
    target: ImageInput,
    preprocess: Preprocess,
    labels: Sequence[str],
) -> EncodedSamples:
    """Open the samples of Parquet files; only the classes are read at once. Raises
    InputRefusedError for files without the two columns, or with classes that the model does not
    have.
    """
    watch_inputs(files)
    columns = find_columns(files[0])
    names = list_names(files[0], columns.label)
    starts, classes = read_rows(
        files, lambda file: _read_column(file, columns.label), names, labels
    )
    if not len(classes):
        raise InputRefusedError(f"{path} holds no rows", remedy=_REMEDY)
    return EncodedSamples(
        path=path,
        store=ParquetStore(files=tuple(files), starts=starts, columns=columns),
        classes=classes,
        target=target,
        preprocess=preprocess,
    )


def find_columns(file: Path) -> Columns:
    """Find the image and class columns of a file."""
    return choose_columns(_read_schema(file), file)


def _read_schema(file: Path) -> Any:  # noqa: ANN401 - pyarrow types none
    try:
        return parquet.read_schema(file)
    except (OSError, pa.ArrowException) as error:
        raise _refuse(file, error) from error


def list_names(file: Path, column: str) -> Sequence[str] | None:
    """List the names of the classes as Hugging Face writes them into the file."""
    try:
        written = json.loads((_read_schema(file).metadata or {})[b"huggingface"])
        names = written["info"]["features"][column]["names"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return names if isinstance(names, list) else None


def choose_columns(schema: Any, file: Path) -> Columns:  # noqa: ANN401 - pyarrow types none
    """Choose the image and class columns by their types and, if several fit, by their names."""
    images = {field.name: _is_struct(field.type) for field in schema if _is_image(field.type)}
    classes = [field.name for field in schema if _is_class(field.type)]
    named = [name for name in LABEL_COLUMNS if name in classes] or classes
    if "image" in images:
        images = {"image": images["image"]}
    if len(images) != 1 or not named or (len(named) > 1 and named[0] not in LABEL_COLUMNS):
        raise InputRefusedError(f"{file} has the columns {', '.join(schema.names)}", remedy=_REMEDY)
    ((image, is_struct),) = images.items()
    return Columns(image=image, label=named[0], is_struct=is_struct)


def read_stream(file: Path) -> Any:  # noqa: ANN401 - pyarrow types none
    """Map an Arrow stream into memory. Raises InputRefusedError."""
    try:
        return pa.ipc.open_stream(pa.memory_map(str(file))).read_all()
    except (OSError, pa.ArrowException) as error:
        message = f"{file} cannot be read as Arrow: {error}"
        raise InputRefusedError(message, remedy=_REMEDY) from error


def pick_bytes(column: Any, columns: Columns) -> Any:  # noqa: ANN401 - pyarrow types none
    """Pick the images' bytes, without the paths that may stand beside them."""
    return compute.struct_field(column, "bytes") if columns.is_struct else column


def _is_image(kind: Any) -> bool:  # noqa: ANN401 - pyarrow types none
    if _is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_struct(kind: Any) -> bool:  # noqa: ANN401 - pyarrow types none
    return bool(pa.types.is_struct(kind))


def _is_class(kind: Any) -> bool:  # noqa: ANN401 - pyarrow types none
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer)
    return any(is_of(kind) for is_of in texts)


def _read_column(file: Path, name: str) -> list[Any]:
    try:
        opened = parquet.ParquetFile(file, read_dictionary=[name])
        if opened.metadata.num_rows > _MAX_ROWS:
            message = f"it has {opened.metadata.num_rows:,} rows, more than {_MAX_ROWS:,}"
            raise pa.ArrowInvalid(message)
        values = opened.read(columns=[name]).column(0)
        _check_texts(values)
    except (OSError, IndexError, pa.ArrowException) as error:
        raise _refuse(file, error) from error
    if values.null_count:
        raise InputRefusedError(f"{file} has rows without a class in {name}", remedy=_REMEDY)
    return list_values(values, file)


def list_values(values: Any, file: Path) -> list[Any]:  # noqa: ANN401 - pyarrow types none
    """List a column's values. Raises InputRefusedError for text that is not UTF-8."""
    try:
        return list(values.to_pylist())
    except ValueError as error:
        raise InputRefusedError(f"{file} holds text that is not UTF-8", remedy=_REMEDY) from error


def _check_texts(values: Any) -> None:  # noqa: ANN401 - pyarrow types none
    """Refuse long texts, of which one in the file may stand for each row."""
    for chunk in values.chunks if pa.types.is_dictionary(values.type) else ():
        if any(len(text.as_buffer()) > _MAX_TEXT_BYTES for text in chunk.dictionary):
            message = f"it has a class of more than {_MAX_TEXT_BYTES:,} bytes"
            raise pa.ArrowInvalid(message)


def _read_batches(file: Path, columns: Columns, row: int) -> Iterator[tuple[int, Any]]:
    """Yield batches of images, starting at the row group of `row`, each with its first row."""
    try:
        opened = parquet.ParquetFile(file)
        sizes = [
            opened.metadata.row_group(group).num_rows
            for group in range(opened.metadata.num_row_groups)
        ]
        ends = np.cumsum(sizes)
        group = int(np.searchsorted(ends, row, side="right"))
        first = int(ends[group]) - sizes[group]
        for batch in opened.iter_batches(
            _choose_rows(opened.metadata),
            row_groups=list(range(group, len(sizes))),
            columns=[columns.leaf],
        ):
            column = batch.column(0)
            yield first, column.field("bytes") if columns.is_struct else column
            first += len(column)
    except (OSError, IndexError, pa.ArrowException) as error:
        raise _refuse(file, error) from error


def _choose_rows(metadata: Any) -> int:  # noqa: ANN401 - pyarrow types none
    """Choose rows to read at once: the file may hold one image for all, as large as it itself."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    largest = max((group.total_byte_size for group in groups), default=0)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, largest)))


def _refuse(file: Path, error: Exception) -> InputRefusedError:
    reason = first_line(error)
    return InputRefusedError(f"{file} cannot be read as Parquet: {reason}", remedy=_REMEDY)
