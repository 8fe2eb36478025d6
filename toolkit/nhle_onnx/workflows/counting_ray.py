"""Counting with Ray Data: its readers find and read the images, our actors hold the models."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from nhle_onnx.data.encoded import EncodedSamples, ImagesInMemory, map_names, read_class, translate
from nhle_onnx.data.folders import open_folder
from nhle_onnx.data.metadata import find_metadata, is_saved
from nhle_onnx.data.preprocess import require_pictures, require_preprocess
from nhle_onnx.data.shards import Shards, find_shards
from nhle_onnx.data.tree import is_image
from nhle_onnx.data.webdataset import name_folder, read_cls
from nhle_onnx.engines.choose import open_engine
from nhle_onnx.engines.engine import Outcome, settle
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.hints import hint
from nhle_onnx.values.preprocess import PRESET_NAMES
from nhle_onnx.values.settings.verify import VerifySettings
from nhle_onnx.workflows.comparison import Comparison, load_models, open_comparison
from nhle_onnx.workflows.measure import Evaluation, OnBatch
from nhle_onnx.workflows.tally import Tally, sum_tallies, tally_models

BLOCK_IMAGES = 1024
_READER_CORES, _MODEL_CORES = 0.1, 0.9  # together one core, so that a single core is enough
_SUMMED = 256  # blocks whose tallies are summed before the driver sees them

Row = Mapping[str, Any]
Labelled = tuple[
    str, bytes, str | int
]  # an image's name for messages, its content, its class as written


def count_with_ray(settings: VerifySettings, comparison: Comparison, on_batch: OnBatch) -> Tally:
    """Do as `count_samples` with Ray Data; the driver only sees tallies, never images.

    Paths must lead to the same files on every machine. Raises InputRefusedError for an `.npz`,
    which is a single array in one file.
    """
    settings = _make_absolute(settings)
    classifier = comparison.classifier
    require_preprocess(classifier.preprocess, settings.data)
    with open_engine(settings.engine, settings.workers) as engine:
        # the engine has imported Ray, or reported that it is missing
        from ray.data import ActorPoolStrategy as Pool  # noqa: PLC0415

        dataset, read, total = _read_data(settings.data, comparison)
        outcomes = dataset.map_batches(
            Counter,
            fn_constructor_args=(settings, read),
            batch_size=BLOCK_IMAGES,
            batch_format="pyarrow",
            num_cpus=_MODEL_CORES,
            compute=Pool(min_size=1, max_size=engine.workers),
        ).map_batches(_sum_block, batch_size=_SUMMED, num_cpus=_READER_CORES)
        return sum_tallies(_list_outcomes(outcomes), total, on_batch)


@dataclass(frozen=True, slots=True)
class FolderRows:
    """Rows of image files, with the class of each folder."""

    classes: Mapping[str, int]

    def label(self, row: Row) -> Iterator[Labelled]:
        """Return the image of a row."""
        yield row["path"], row["bytes"], self.classes[str(Path(row["path"]).parent)]


@dataclass(frozen=True, slots=True)
class TarRows:
    """Rows of tars: a column for each suffix."""

    def label(self, row: Row) -> Iterator[Labelled]:
        """Return the images of a row, with the class from `.cls` or from the folder."""
        key, written = row["__key__"], row.get("cls")
        for suffix, content in row.items():
            if content is not None and is_image(Path(f"{key}.{suffix}")):
                name = f"{row['path']}: {key}.{suffix}"
                folder = name_folder(key)
                yield name, content, read_cls(written) if written else folder


@dataclass(frozen=True, slots=True)
class ParquetRows:
    """Rows of Parquet files, by their two columns."""

    image: str
    label_column: str
    classes: tuple[int, ...]

    def label(self, row: Row) -> Iterator[Labelled]:
        """Return the image of a row."""
        image = row[self.image]
        content = image["bytes"] if isinstance(image, dict) else image
        name = f"a row of {row['path']}"
        if not isinstance(content, bytes) or row[self.label_column] is None:
            message = f"{name} lacks its image or its class"
            raise InputRefusedError(message, remedy="Remove the row.")
        yield name, content, translate(row[self.label_column], self.classes)


Rows = FolderRows | TarRows | ParquetRows


class Counter:
    """An actor that holds the models, and counts each block of images."""

    def __init__(self, settings: VerifySettings, rows: Rows) -> None:
        self._settings, self._rows = settings, rows
        self._comparison = open_comparison(settings)
        self._models = load_models(settings, self._comparison)

    def __call__(self, block: Any) -> dict[str, Any]:  # noqa: ANN401 - an Arrow table
        """Return one outcome for the block."""
        return _wrap(settle(self._count, "", block.to_pylist()))

    def _count(self, rows: list[Row]) -> Tally:
        classifier = self._comparison.classifier
        labelled = [image for row in rows for image in self._rows.label(row)]
        samples = EncodedSamples(
            path=self._settings.data,
            store=ImagesInMemory([(name, content) for name, content, _ in labelled]),
            classes=np.array(
                [read_class(name, written, classifier.labels) for name, _, written in labelled],
                np.int64,
            ),
            target=classifier.image_input,
            preprocess=require_preprocess(classifier.preprocess, self._settings.data),
        )
        part = Evaluation(samples=samples, indices=range(len(labelled)), source="")
        request = self._comparison.request
        return tally_models(self._models, part, request, self._settings.batch_size)


def _sum_block(block: Row) -> dict[str, Any]:
    """Sum several outcomes into one, which is a failure if any failed."""
    outcomes: list[Outcome[Tally]] = list(block["outcome"])
    failed = [outcome for outcome in outcomes if outcome.failure]
    tallies = [outcome.value for outcome in outcomes if outcome.value]
    return _wrap(failed[0] if failed else Outcome(key="", value=reduce(add, tallies)))


def _wrap(outcome: Outcome[Tally]) -> dict[str, Any]:
    column = np.empty(1, object)
    column[0] = outcome
    return {"outcome": column}


def _list_outcomes(dataset: Any) -> Iterator[Outcome[Tally]]:  # noqa: ANN401 - Ray types none
    for row in dataset.iter_rows():
        yield row["outcome"]


def _read_data(path: Path, comparison: Comparison) -> tuple[Any, Rows, int]:
    """Open a data set of encoded images; return it with its row type and its length, if known."""
    import ray.data  # noqa: PLC0415 - as above

    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it reports every stage
    options: dict[str, Any] = {"include_paths": True, "num_cpus": _READER_CORES}
    shards = find_shards(path)
    if shards and shards.kind == "tar":
        return ray.data.read_webdataset(_name(shards), decoder=None, **options), TarRows(), 0
    if shards:
        # pyarrow is an extra
        from nhle_onnx.data.parquet import find_columns, list_names  # noqa: PLC0415

        columns = find_columns(shards.files[0])
        names = list_names(shards.files[0], columns.label)
        mapped = map_names(names, comparison.classifier.labels)
        rows = ParquetRows(columns.image, columns.label, mapped)
        dataset = ray.data.read_parquet(_name(shards), **options)
        return dataset.select_columns([rows.image, rows.label_column, "path"]), rows, 0
    if not path.is_dir() or is_saved(path) or find_metadata(path):
        message = f"{path} is not a folder of images, a tar or a Parquet file, which Ray can read"
        raise InputRefusedError(message, remedy=hint("Give {engine=local} or processes for it."))
    classifier = comparison.classifier
    require_pictures(classifier.image_input, path)
    preprocess = require_preprocess(classifier.preprocess, path)
    folder = open_folder(path, classifier.image_input, preprocess, classifier.labels)
    files = [str(file) for file in folder.files]
    classes = {
        str(file.parent): int(found)
        for file, found in zip(folder.files, folder.classes, strict=True)
    }
    return ray.data.read_binary_files(files, **options), FolderRows(classes), len(files)


def _name(shards: Shards) -> list[str]:
    return [str(file) for file in shards.files]


def _make_absolute(settings: VerifySettings) -> VerifySettings:
    """Make a path absolute, as workers run in other folders."""
    flags = settings.flags
    file = flags.preprocess.file
    if file and file not in PRESET_NAMES:
        file = str(Path(file).resolve())
    preprocess = replace(flags.preprocess, file=file)
    labels = flags.labels.resolve() if flags.labels else None
    return replace(
        settings,
        model=settings.model.resolve(),
        data=settings.data.resolve(),
        baseline=settings.baseline.resolve() if settings.baseline else None,
        flags=replace(flags, labels=labels, preprocess=preprocess),
    )
