"""python -m benchmarks speed."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks.speed import cost, instead, startup, throughput, together
from benchmarks.speed.page import describe
from benchmarks.speed.subjects import (
    LARGE,
    SHIPPED,
    SMALL,
    VGG,
    export_network,
    write_arrays,
    write_jpegs,
)
from studies.datasets import load_dataset
from studies.options import data_root_option
from studies.results import read_rows, write_results
from studies.tables import Row

_NAME = "speed"
_NETWORKS = {network.title: network for network in (SMALL, LARGE, VGG)}
_PARTS = ("arrays", "jpegs", "startup", "together", *_NETWORKS, "instead")
_JPEG_SIDE = 224
_FEW = 10  # times fewer images, to see whether memory grows
_FEWEST = 4 * throughput.BATCH  # as many batches as are in memory at a time


@click.command(_NAME)
@data_root_option
@click.option("--images", type=click.IntRange(64), default=50_000, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=20, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--part", "parts", type=click.Choice(_PARTS), multiple=True, help="[default: all]")
@click.option("--dry-run", is_flag=True, help="Show the page instead of writing it.")
def speed(
    data_root: Path,
    images: int,
    steps: int,
    rounds: int,
    parts: tuple[str, ...],
    dry_run: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Measure `verify`, start-up and `unlearn`, alternating with their lower bounds. The page keeps
    the previous figures of parts that are not measured.
    """
    rows = {part: [row for row in read_rows(_NAME) if row["part"] == part] for part in _PARTS}
    with tempfile.TemporaryDirectory() as folder:
        for part in parts or _PARTS:
            click.echo(f"{part} …", err=True)
            measured = _measure(part, data_root, Path(folder), images, steps, rounds)
            rows[part] = [{"part": part, **row, "rounds": rounds} for row in measured]
    found = [row for part in _PARTS for row in rows[part]]
    page = describe(found)
    click.echo(page)
    if not dry_run:
        write_results(_NAME, "Speed and memory", page, found)


def _measure(
    part: str, data_root: Path, folder: Path, images: int, steps: int, rounds: int
) -> Iterator[Row]:
    dataset = load_dataset("fashion_mnist", data_root)
    few = min(images, max(_FEWEST, images // _FEW))
    if part == "arrays":
        what = f"`verify` of {images} images (.npz) by MobileNetV3-Small"
        many_path = write_arrays(dataset.train, images, folder / "many.npz")
        few_path = write_arrays(dataset.train, few, folder / "few.npz")
        yield from throughput.measure_throughput(what, SHIPPED, many_path, rounds)
        yield throughput.measure_growth(
            f"{what}, memory relative to that of {few}", SHIPPED, few_path, many_path
        )
    if part == "jpegs":
        what = f"`verify` of {images} JPEGs of 224x224 by MobileNetV3-Large"
        model = export_network(LARGE._replace(side=_JPEG_SIDE), folder / "large_224")
        many_path = write_jpegs(dataset.train, images, _JPEG_SIDE, folder / "many")
        few_path = write_jpegs(dataset.train, few, _JPEG_SIDE, folder / "few")
        yield from throughput.measure_throughput(what, model, many_path, rounds)
        yield throughput.measure_growth(
            f"{what}, memory relative to that of {few}", model, few_path, many_path
        )
    if part == "startup":
        yield from startup.measure_startup(4 * rounds, folder / "bytecode")
    if part == "together":
        yield from together.measure_together(folder, rounds)
    if part in _NETWORKS:
        yield from cost.measure_cost(_NETWORKS[part], folder, steps, rounds)
    if part == "instead":
        yield from instead.measure_alternatives(dataset, folder, rounds)
