"""A third-party model: a page-orientation classifier, with text pages rendered for it."""

import contextlib
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click
from PIL import Image, ImageDraw, ImageFont
from rich.progress import track

from studies.command import run_unlearn
from studies.results import RESULTS, write_results
from studies.tables import make_table

ANGLES = (0, 90, 180, 270)
TUNING_PAGES = 8
EVALUATION_PAGES = 50
# The preprocessing of its authors' toolkit: the shorter side to 256, the middle 224 x 224.
CONFIG = {
    "do_resize": True,
    "size": {"shortest_edge": 256},
    "resample": 2,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
WORDS = """the of and a to in is that for it as was with be by on not he his but at are this have
from or had an they which one you were all her she there would their we him been has when who will
more no if out so said what up its about into than them can only other new some could time these
two may then do first any my now such like our over man me even most made after also did many
before must through years where much your way well down should because each just those people how
too little state good very make world still own see men work long get here between both life being
under never day same another know while last might us great old year off come since against go came
right used take three""".split()  # noqa: SIM905 - the most frequent words, as prose


@click.command("page-orientation")
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--angle", "angles", type=click.Choice(list(map(str, ANGLES))), multiple=True, default=["180"]
)
def page_orientation(model: Path, seed: int, angles: tuple[str, ...]) -> None:
    """Forget orientations in MODEL, a PP-LCNet page-orientation classifier."""
    source = model.resolve()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        shutil.copy(source, "model.onnx")
        Path("preprocessor_config.json").write_text(json.dumps(CONFIG), "utf-8")
        Path("labels.txt").write_text("\n".join(map(str, ANGLES)), "utf-8")
        generator = random.Random(seed)  # noqa: S311 - pages, not secrets
        for name, count in (("tuning", TUNING_PAGES), ("evaluation", EVALUATION_PAGES)):
            write_pages(Path(name), count, generator)
        rows = [
            measure(int(angle), keep_report=angle == angles[0])
            for angle in track(angles, description="forgetting")
        ]
    body = (
        "PP-LCNet x1.0 as its authors ship it: exported by PaddlePaddle, MatMul + Add + Identity "
        f"+ Softmax head, BatchNormalization not folded. {TUNING_PAGES} rendered pages of each "
        f"orientation for tuning, {EVALUATION_PAGES} others for evaluation; default options.\n\n"
        f"{make_table(rows)}\n\n"
        "[The report of the first row](page_orientation.report.json)."
    )
    write_results("page_orientation", "A third-party classifier", body, rows)
    click.echo(make_table(rows))


def measure(angle: int, *, keep_report: bool) -> dict[str, Any]:
    """Measure one row with the command that a user would run."""
    figures, report = run_unlearn(
        Path("model.onnx"),
        *("--forget", str(angle), "--samples", "tuning", "--data", "evaluation"),
        out=Path(f"without_{angle}.onnx"),
    )
    if keep_report:
        RESULTS.mkdir(parents=True, exist_ok=True)
        line = json.dumps(report, ensure_ascii=False)
        (RESULTS / "page_orientation.report.json").write_text(f"{line}\n", "utf-8")
    return {
        "forget": f"{angle}°",
        **figures,
        "changed tensors": len(report["changed_tensors"]),
        "steps": report["method"]["steps_run"],
        "training s": report["elapsed_s"]["train"],
    }


def write_pages(folder: Path, count: int, generator: random.Random) -> None:
    """Write `count` pages for each orientation, in folders named by clockwise degrees."""
    for angle in ANGLES:
        target = folder / str(angle)
        target.mkdir(parents=True)
        for index in range(count):
            page = draw_page(generator)
            page.rotate(-angle, expand=True).save(target / f"{index:03d}.png")


def draw_page(generator: random.Random) -> Image.Image:
    """Draw a page of random text; size, margins, spacing and paragraphs vary."""
    width, height = generator.randrange(480, 720), generator.randrange(640, 960)
    page = Image.new("RGB", (width, height), (generator.randrange(235, 256),) * 3)
    draw = ImageDraw.Draw(page)
    size = generator.randrange(14, 30)
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101 - what a given size means
    margin = generator.randrange(20, 70)
    y = generator.randrange(20, 80)
    while y < height - margin - size:
        is_last = generator.random() < 0.15  # noqa: PLR2004 - one line in seven ends a paragraph
        limit = width - 2 * margin if not is_last else generator.randrange(80, width - 2 * margin)
        draw.text((margin, y), draw_line(generator, font, limit), fill=(20, 20, 20), font=font)
        y += round(size * (generator.uniform(1.9, 2.4) if is_last else 1.35))
    return page


def draw_line(generator: random.Random, font: ImageFont.FreeTypeFont, limit: int) -> str:
    """Draw words until the line is full."""
    line = generator.choice(WORDS).capitalize()
    while font.getlength(longer := f"{line} {generator.choice(WORDS)}") < limit:
        line = longer
    return line
