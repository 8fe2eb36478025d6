"""python -m benchmarks speed."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks.datasets import load_dataset
from benchmarks.options import data_root_option
from benchmarks.results import make_table, write_results
from benchmarks.speed import cost, instead, startup, throughput
from benchmarks.speed.rows import Row
from benchmarks.speed.subjects import (
    LARGE,
    SHIPPED,
    SMALL,
    VGG,
    export_network,
    write_arrays,
    write_jpegs,
)

_PARTS = ("arrays", "jpegs", "startup", "cost", "instead")
_JPEG_SIDE = 224
_FEW = 10  # times fewer images, to see whether memory grows
_FEWEST = 4 * throughput.BATCH  # as many batches as are in memory at a time


@click.command()
@data_root_option
@click.option("--images", type=click.IntRange(64), default=50_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--part", "parts", type=click.Choice(_PARTS), multiple=True, help="[default: all]")
@click.option("--dry-run", is_flag=True, help="Show the table, and write no page.")
def speed(
    data_root: Path,
    images: int,
    rounds: int,
    parts: tuple[str, ...],
    dry_run: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Measure `verify`, start-up and `unlearn` in turn with what bounds them."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in parts or _PARTS:
            click.echo(f"{part} …", err=True)
            rows += _measure(part, data_root, Path(folder), images, rounds)
    table = make_table(rows)
    click.echo(table)
    if not dry_run:
        write_results("speed", "Speed and memory", _describe(table, images, rounds), rows)


def _measure(part: str, data_root: Path, folder: Path, images: int, rounds: int) -> Iterator[Row]:
    dataset = load_dataset("fashion_mnist", data_root)
    few = min(images, max(_FEWEST, images // _FEW))
    if part == "arrays":
        what = f"`verify` of {images} images (.npz) by MobileNetV3-Small"
        many_path = write_arrays(dataset.train, images, folder / "many.npz")
        few_path = write_arrays(dataset.train, few, folder / "few.npz")
        yield from throughput.measure_throughput(what, SHIPPED, many_path, rounds)
        yield throughput.measure_growth(
            f"{what}, memory by that of {few}", SHIPPED, few_path, many_path
        )
    if part == "jpegs":
        what = f"`verify` of {images} JPEGs of 224x224 by MobileNetV3-Large"
        model = export_network(LARGE._replace(side=_JPEG_SIDE), folder / "large_224")
        many_path = write_jpegs(dataset.train, images, _JPEG_SIDE, folder / "many")
        few_path = write_jpegs(dataset.train, few, _JPEG_SIDE, folder / "few")
        yield from throughput.measure_throughput(what, model, many_path, rounds)
        yield throughput.measure_growth(
            f"{what}, memory by that of {few}", model, few_path, many_path
        )
    if part == "startup":
        yield from startup.measure_startup(4 * rounds)
    if part == "cost":
        for network in (SMALL, LARGE, VGG):
            yield from cost.measure_cost(network, folder, rounds)
    if part == "instead":
        yield from instead.measure_alternatives(dataset, folder, rounds)


def _describe(table: str, images: int, rounds: int) -> str:
    return (
        "Ours and its peer run in turn, in another order every round, after one round to warm up; "
        f"each ratio is the median of {rounds} rounds' (start-up: {4 * rounds}).\n\n{table}\n\n"
        f"**Throughput.** `verify` of {images} images: images per second of the stage that "
        "measures, in this process; the row after it counts loading the model and the report as "
        "well. Peers: a loop of ONNX Runtime alone, with its default options, over prepared images "
        f"in memory; and, for JPEGs, Pillow alone on all cores. Batches of {throughput.BATCH}; "
        "the slower peer bounds us. Where cores are few, decoding takes its time from ONNX "
        "Runtime: once all cores are busy, no overlap betters two loops, one after the other. "
        "Memory is the peak of the resident set (VmHWM) of the whole program.\n\n"
        '**Start-up.** Whole processes. "import onnx" includes loading the same model.\n\n'
        f"**Cost.** `unlearn --steps {cost.STEPS}` as a process, on random weights, beside a "
        "process that imports torch, builds two ONNX Runtime sessions and takes the same steps on "
        "the original `nn.Module`. Memory: the peak of `unlearn` above what its imports hold, by "
        "the module's parameters plus what its forward pass keeps for the backward one on the same "
        "batch.\n\n"
        "**Instead.** The whole command with its defaults. DELETE needs the network's code and "
        "weights, and masks nothing; retraining is the shipped model's recipe without the class, "
        "reckoned from a part of an epoch."
    )
