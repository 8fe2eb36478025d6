"""The shipped evaluation images in the forms that data sets come in."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from support.shipped import EVALUATION, LENET

LABELS = LENET.with_name("labels.txt").read_text("utf-8").split("\n")[:10]
Sample = tuple[bytes, int]


def read_samples(count: int) -> list[Sample]:
    """PNGs of the first evaluation images, with their classes."""
    with np.load(EVALUATION) as archive:
        chosen = np.linspace(0, len(archive["x"]) - 1, count).astype(int)
        return [(encode(archive["x"][i]), int(archive["y"][i])) for i in chosen]


def encode(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write_folder(folder: Path, samples: list[Sample]) -> Path:
    for index, (content, label) in enumerate(samples):
        file = folder / "folder" / str(label) / f"{index:05}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder / "folder"


def write_tars(folder: Path, samples: list[Sample], shards: int = 3) -> Path:
    """As WebDataset does: <key>.png and <key>.cls."""
    out = folder / "tars"
    out.mkdir()
    for shard in range(shards):
        with tarfile.open(out / f"shard-{shard}.tar", "w") as archive:
            for index, (content, label) in enumerate(samples[shard::shards]):
                add_member(archive, f"{index:05}.png", content)
                add_member(archive, f"{index:05}.cls", str(label).encode())
    return out


def write_class_tar(folder: Path, samples: list[Sample]) -> Path:
    """One folder a class, in one tar."""
    out = folder / "classes.tar"
    with tarfile.open(out, "w") as archive:
        for index, (content, label) in enumerate(samples):
            name = LABELS[label].replace("/", "_")
            add_member(archive, f"images/{name}/{index:05}.png", content)
    return out


def write_parquet(folder: Path, samples: list[Sample], shards: int = 2) -> Path:
    """As Hugging Face does: a struct of bytes and path, and an integer; several row groups."""
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow import parquet  # noqa: PLC0415

    out = folder / "parquet"
    out.mkdir()
    for shard in range(shards):
        part = samples[shard::shards]
        images = [{"bytes": content, "path": None} for content, _ in part]
        table = pa.table({"image": images, "label": [label for _, label in part]})
        file = out / f"part-{shard}.parquet"
        parquet.write_table(table, file, row_group_size=37)
    return out


def write_text_parquet(folder: Path, samples: list[Sample]) -> Path:
    """Plain bytes, and labels as text."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    columns = {
        "img": [content for content, _ in samples],
        "cls": [LABELS[label] for _, label in samples],
    }
    out = folder / "text.parquet"
    parquet.write_table(pa.table(columns), out)
    return out


FORMS: dict[str, Callable[[Path, list[Sample]], Path]] = {
    "folder": write_folder,
    "tars": write_tars,
    "class tar": write_class_tar,
    "parquet": write_parquet,
    "text parquet": write_text_parquet,
}


def add_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
