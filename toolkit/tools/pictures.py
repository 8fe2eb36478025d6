"""Screenshots of every page, and README's picture."""

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import click
from PIL import Image
from rich.progress import track

from nhle_onnx.release.viewer.documents import read_documents
from nhle_onnx.release.viewer.pages import list_pages
from nhle_onnx.release.viewer.server import PageServer
from tools.browser import FORMS, SCHEMES, Browser, Form, open_browser
from tools.forgetting import draw_forgetting
from tools.tutorial import make_folder

_FOLDER = Path("docs") / "pictures"
_PAGES = _FOLDER / "pages"
_MODEL = Path("models") / "lenet5_fashion_mnist" / "model.onnx"
_RETRAINED = _MODEL.with_name("retrained_without_dress.onnx")
_MOBILENET = Path("models") / "mobilenetv3_small_fashion_mnist" / "model.onnx"
_DETECTOR = Path("models") / "yolo_tiny_fashion_scenes" / "model.onnx"
_SAMPLES = Path("calibration_samples") / "fashion_mnist"
_BEGINNING = 1500  # pixels
_COLOURS = 96  # of a screenshot, which keeps it small
_FLEET = """
[[job]]
model = "{model}"
forget = ["Dress", "Bag"]
method = "cwm"
samples = "{samples}"

[[job]]
model = "no_such_model.onnx"
forget = "Dress"
"""


@click.command("pictures")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Keep pages in this folder, and use those in it.",
)
@click.option(
    "--only-pages", is_flag=True, help="Leave out README's picture, which takes MobileNetV3."
)
def pictures(work: Path | None, *, only_pages: bool) -> None:
    """Make docs/pictures: README's picture, and every page at desktop, phone and print."""
    with open_folder(work) as folder:
        make_reports(folder)
        if not only_pages:
            _make_readme_picture(folder)
        _PAGES.mkdir(parents=True, exist_ok=True)
        with open_pages(folder) as pages, open_browser() as browser:
            for name, url in track(list(pages.items()), "screenshots"):
                for form in FORMS:
                    for scheme in SCHEMES if form.media == "screen" else ("light",):
                        path = _PAGES / f"{name}-{form.name}-{scheme}.png"
                        path.write_bytes(_shrink(_photograph(browser, url, form, scheme)))
        for name in ("audit", "detector"):
            _crop(_PAGES / f"{name}-desktop-light.png", _FOLDER / f"{name}.png")
        fail_on(browser.messages)


def make_reports(folder: Path) -> None:
    """Make a report of each kind, with its page, unless it is there already."""
    named = ("--forget", "Dress")
    compared = ("--baseline", _MODEL, "--data", _SAMPLES / "evaluation.npz")
    if not (folder / "models").exists():
        make_folder(Path.cwd(), folder)
    if not (folder / "unlearn.html").exists():
        _run(folder, "unlearn", _MODEL, *named, "--out", "unlearn.onnx", "--report", "unlearn.html")
    if not (folder / "detector.html").exists():
        written = ("--out", "detector.onnx", "--report", "detector.html")
        _run(folder, "unlearn", _DETECTOR, *named, *written)
    for name, further in (("verify", ()), ("audit", ("--reference", _RETRAINED))):
        if not (folder / f"{name}.html").exists():
            page = ("--report", f"{name}.html", "--json")
            document = _run(folder, name, "unlearn.onnx", *named, *compared, *further, *page)
            (folder / f"{name}.json").write_bytes(document)
    if not (folder / "fleet.html").exists():
        request = _FLEET.format(model=_MODEL, samples=_SAMPLES)
        (folder / "fleet.toml").write_text(request, "utf-8")
        document = _run(folder, "fleet", "fleet.toml", "--report", "fleet.html", "--json")
        (folder / "fleet.json").write_bytes(document)


@contextmanager
def open_pages(folder: Path) -> Iterator[Mapping[str, str]]:
    """Serve the viewer, and yield the address of every page."""
    files = {path.stem: path.resolve().as_uri() for path in sorted(folder.glob("*.html"))}
    with PageServer(list_pages(read_documents((folder,)))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield {**files, "view": server.address}
        server.shutdown()


def _photograph(browser: Browser, url: str, form: Form, scheme: str) -> bytes:
    browser.show(url, form, scheme)
    return browser.take()


def _shrink(picture: bytes) -> bytes:
    stream = io.BytesIO()
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _crop(page: Path, path: Path) -> None:
    """Write the beginning of a page, which a tutorial shows."""
    image = Image.open(page)
    image.crop((0, 0, image.width, _BEGINNING)).save(path, optimize=True)


def _make_readme_picture(folder: Path) -> None:
    report = folder / "readme" / "model.report.json"
    if not report.exists():
        report.parent.mkdir(exist_ok=True)
        written = ("--out", "readme/model.onnx", "--report", "readme/page.html")
        _run(folder, "unlearn", _MOBILENET, "--forget", "3", *written)
    draw_forgetting(json.loads(report.read_text("utf-8")), _FOLDER / "forgetting.png")


def _run(folder: Path, *arguments: str | Path) -> bytes:
    """Run the program in a folder; a verdict other than PASSED is a result, too."""
    command = [sys.executable, "-m", "nhle_onnx", *map(str, arguments), "--force", "--quiet"]
    if arguments[0] == "fleet":  # which resumes
        command.remove("--force")
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, cwd=folder)
    if done.returncode not in {0, 1, 6} and arguments[0] != "fleet":  # one of its jobs is refused
        message = f"exit code {done.returncode}: {' '.join(command)}"
        raise click.ClickException(message)
    return done.stdout


@contextmanager
def open_folder(work: Path | None) -> Iterator[Path]:
    """Open the folder that keeps pages, or a temporary one."""
    if work:
        work.mkdir(parents=True, exist_ok=True)
        yield work
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def fail_on(messages: list[str]) -> None:
    """End with an error if there are messages."""
    if messages:
        raise click.ClickException("\n".join(messages))
