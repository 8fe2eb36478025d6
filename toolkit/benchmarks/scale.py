"""The cost of one image, one job and one engine, and the resulting cost of a billion images."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from PIL import Image

from nhle_onnx.engines.choose import open_engine
from nhle_onnx.release.report import render_json
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.settings.model import ModelFlags
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.values.settings.verify import VerifySettings
from nhle_onnx.workflows.fleet import FleetSettings, run_fleet
from nhle_onnx.workflows.fleet_job import EDITED, FleetJob
from nhle_onnx.workflows.observer import Silence
from nhle_onnx.workflows.verify import verify_model
from studies.results import ROOT, write_results
from studies.tables import Row, make_table

ENGINES = ("local", "processes", "ray")
MODELS = ("lenet5_fashion_mnist", "mobilenetv3_small_fashion_mnist")
SAMPLES = ROOT / "calibration_samples" / "fashion_mnist"
RUNS = 3  # the fastest one counts
FEW, MANY = 200, 2000  # images
FEW_JOBS, MANY_JOBS = 10, 5010
IMAGES, FLEET = 10**9, 10**5  # of the plan
BLOCK, SUMMED = 1024, 256  # images in a tally, tallies in a sum: as in workflows/counting_ray.py
CORES = (64, 1024)


@click.command()
@click.option("--skip-ray", is_flag=True, help="Skip Ray.")
def scale(*, skip_ray: bool) -> None:
    """Measure the unit costs of verify and fleet, and calculate the plan from them."""
    engines = [engine for engine in ENGINES if not (skip_ray and engine == "ray")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few, many = (write_images(folder / str(count), count) for count in (FEW, MANY))
        rows = [row for engine in engines for row in measure_images(engine, few, many)]
        rows += [row for engine in engines for row in measure_jobs(engine)]
        rows += [row for model in MODELS for row in measure_fleet(model, folder / model)]
    plan = make_plan({row["what"]: row["value"] for row in rows})
    body = (
        f"Each engine with one worker, on a machine with a load of {os.getloadavg()[1]:.0f} "
        f"processes on {os.cpu_count()} cores; wall-clock seconds include the wait for them. Core "
        "seconds do not. Seconds of an engine are slopes between a small and a large run, each "
        f"the fastest of {RUNS} ({FEW} and {MANY} PNG images through MobileNetV3-Small; {FEW_JOBS} "
        f"and {MANY_JOBS} jobs that do nothing); the remainder is the start.\n\n"
        f"{make_table(rows)}\n\n"
        "## The resulting plan\n\n"
        f"{make_table(plan)}"
    )
    write_results("scale", "Unit costs of scale", body, [*rows, *plan])
    click.echo(make_table(rows))
    click.echo(make_table(plan))


def write_images(folder: Path, count: int) -> Path:
    """Write evaluation images as PNG, one folder for each class."""
    with np.load(SAMPLES / "evaluation.npz") as archive:
        pixels, classes = archive["x"], archive["y"]
    for index in np.linspace(0, len(pixels) - 1, count).astype(int):
        file = folder / str(classes[index]) / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[index]).save(file)
    return folder


def measure_images(engine: str, few: Path, many: Path) -> list[Row]:
    """Measure the seconds of verify on a running engine: for a thousand images, and its start."""

    def verify(data: Path) -> None:
        model = ROOT / "models" / MODELS[1] / "model.onnx"
        settings = VerifySettings(
            model=model, forget=("3",), data=data, flags=ModelFlags(), engine=engine, workers=1
        )
        verify_model(settings, Silence())

    rows: list[Row] = []
    with open_engine(engine, 1):  # if this is Ray, verify then finds it running
        verify(few)  # a warm-up
        if engine == "local":
            cost = measure_seconds(lambda: verify(many), time.process_time) / MANY
            rows = [{"what": "verify: 1,000 images", "value": cost * 1000, "unit": "core s"}]
        slope, start = fit(lambda: verify(few), lambda: verify(many), FEW, MANY)
    return [
        *rows,
        {"what": f"verify, {engine}: 1,000 images", "value": slope * 1000, "unit": "s"},
        {"what": f"verify, {engine}: start", "value": start, "unit": "s"},
    ]


def measure_jobs(name: str) -> list[Row]:
    """Measure the milliseconds that an engine adds to each job."""
    with open_engine(name, 1) as engine:

        def run(count: int) -> None:
            list(engine.run(abs, {str(number): number for number in range(count)}, 0))

        slope, _ = fit(lambda: run(FEW_JOBS), lambda: run(MANY_JOBS), FEW_JOBS, MANY_JOBS)
    return [{"what": f"engine, {name}: a job", "value": slope * 1000, "unit": "ms"}]


def fit(
    few: Callable[[], None], many: Callable[[], None], low: int, high: int
) -> tuple[float, float]:
    """Return the seconds of each unit, and the constant seconds."""
    pairs = [(measure_seconds(few), measure_seconds(many)) for _ in range(RUNS)]
    short, long = map(min, zip(*pairs, strict=True))
    if long <= short:
        message = "the machine is too busy to tell a large run from a small one"
        raise click.ClickException(message)
    slope = (long - short) / (high - low)
    return slope, max(0.0, short - slope * low)


def measure_seconds(
    run: Callable[[], None], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Measure seconds by a clock, by default the wall clock."""
    start = clock()
    run()
    return clock() - start


def measure_fleet(model: str, out: Path) -> list[Row]:
    """Measure a job's processor seconds, those of finding it finished, and the bytes it writes."""
    settings = UnlearnSettings(
        model=ROOT / "models" / model / "model.onnx",
        forget=("3",),
        samples=SAMPLES,
        options=UnlearnOptions(),
        out=out / "job" / EDITED,
        force=True,
    )
    fleet = FleetSettings(jobs=(FleetJob(name="job", settings=settings),), out=out, engine="local")
    spent = []
    for _ in range(2):
        start = time.process_time()
        report = run_fleet(fleet, Silence())
        spent.append(time.process_time() - start)
    files = [file for file in (out / "job").iterdir() if file.is_file()]
    edited = (out / "job" / EDITED).stat().st_size
    state = sum(file.stat().st_size for file in files) - edited
    return [
        {"what": f"fleet, {model}: a job", "value": spent[0], "unit": "core s"},
        {"what": f"fleet, {model}: a job that is done", "value": spent[1], "unit": "core s"},
        {"what": f"fleet, {model}: the edited model", "value": edited, "unit": "bytes"},
        {"what": f"fleet, {model}: the rest of a job's folder", "value": state, "unit": "bytes"},
        {"what": f"fleet, {model}: files", "value": len(files), "unit": ""},
        {
            "what": f"fleet, {model}: its place in the summary",
            "value": len(render_json(report.jobs[0])),
            "unit": "bytes",
        },
    ]


def make_plan(unit: dict[str, float]) -> list[Row]:
    """Calculate the cost of a billion images and a hundred thousand models."""
    engine = "ray" if "engine, ray: a job" in unit else "processes"
    image_s = unit["verify: 1,000 images"] / 1000

    def of_fleet(what: str) -> float:
        return FLEET * unit[f"fleet, {MODELS[1]}: {what}"]

    hours = IMAGES * image_s / 3600
    job_hours = (of_fleet("a job") + FLEET * unit[f"engine, {engine}: a job"] / 1000) / 3600
    figures = [
        (f"{IMAGES:,} images", hours, "core hours"),
        *((f"{IMAGES:,} images on {cores} cores", hours / cores, "hours") for cores in CORES),
        ("tallies that the driver sees", IMAGES / (BLOCK * SUMMED), ""),
        (f"{FLEET:,} jobs", job_hours, "core hours"),
        *((f"{FLEET:,} jobs on {cores} cores", job_hours / cores, "hours") for cores in CORES),
        ("finding all of them done", of_fleet("a job that is done") / 3600, "core hours"),
        ("edited models", of_fleet("the edited model") / 1e9, "GB"),
        ("the rest of the fleet's folder", of_fleet("the rest of a job's folder") / 1e9, "GB"),
        ("files in the fleet's folder", of_fleet("files"), ""),
        ("summary.json", of_fleet("its place in the summary") / 1e6, "MB"),
    ]  # fmt: skip
    return [{"what": what, "value": value, "unit": unit} for what, value, unit in figures]
