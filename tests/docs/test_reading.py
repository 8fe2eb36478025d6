"""Every command of the README and the site runs, in the order in which a reader meets them, in one
folder: no page's files are in the way of another's.

What is not run: installing (tests/shipped/test_wheel.py), completions of a shell
(tests/cli/test_completion.py), a push to the Hub (tests/cli/test_push.py), and these tests.
"""

import io
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml
from click import ClickException
from PIL import Image

from support import ROOT
from support.shipped import EVALUATION, LENET, SAMPLES
from tools.tutorial import find_steps, run_in_terminal

pytestmark = pytest.mark.slow

README = ROOT / "README.md"
_INSTALL = re.compile(r"python3 -m venv \.venv && \.venv/bin/pip install [^&\n]*(?:&& )?")
_NOT_RUN = re.compile(r"^\s*(#|\. \.venv|python3 -m venv)|--to hf:|bash \.ci/check")
_VERDICTS = (
    "{ code=$?; [ $code = 1 ] || [ $code = 6 ]; }"  # the exit code of one that is not PASSED
)
_JUDGES = re.compile(r"nhle-onnx (unlearn|verify|audit|dossier|fleet|kit) ")
_CASE = """
[request]
id = "1"
received = 2026-03-02
completed = 2026-03-20
forget = ["cat"]

[files]
original = "model.onnx"
edited = "model.unlearned.onnx"
unlearn = "model.unlearned.report.json"

[[signed_by]]
name = "Ana Ruiz"
role = "Data protection officer"
date = 2026-03-20
"""
_FLEET = """
[[job]]
model = "model.onnx"
forget = "cat"
method = "cwm"
data = "images"
"""


class Block(NamedTuple):
    """Commands that stand together on a page."""

    page: str
    commands: str


def list_blocks() -> Iterator[Block]:
    """The README's commands, then those of the site's pages in the order of its menu."""
    for step in find_steps(README.read_text("utf-8")):
        for line in _INSTALL.sub("", step.command).splitlines():
            if not _NOT_RUN.search(line) and line.strip():
                yield Block("README.md", write_readme_line(line))
    for page in list_pages(read_menu()):
        if not page.startswith(("results/", "decisions/")) and "completion" not in page:
            for step in find_steps((ROOT / "docs" / page).read_text("utf-8")):
                yield Block(page, step.command)


def write_readme_line(line: str) -> str:
    """A line of the README as a test runs it: its model is our stand-in, which may not pass."""
    command = re.sub(r"\s+# .*", "", line.replace(".venv/bin/nhle-onnx", "nhle-onnx"))
    if "nhle-onnx view" in command:
        return f"timeout --signal INT 20 {command} || [ $? = 124 ] || [ $? = 130 ]"
    return f"{command} || {_VERDICTS}" if _JUDGES.search(command) else command


def read_menu() -> list[object]:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    menu: list[object] = yaml.safe_load(text)["nav"]
    return menu


def list_pages(menu: object) -> Iterator[str]:
    if isinstance(menu, str):
        yield menu
    for item in menu.values() if isinstance(menu, dict) else menu if isinstance(menu, list) else ():
        yield from list_pages(item)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout as a reader has it, with a model of the reader's own in the README's names."""
    folder = tmp_path_factory.mktemp("reading")
    shutil.copytree(
        ROOT / "models", folder / "models", ignore=shutil.ignore_patterns("*.unlearned.*")
    )
    (folder / "calibration_samples").symlink_to(ROOT / "calibration_samples")
    for name in ("model.onnx", "preprocessor_config.json"):
        shutil.copy(LENET.with_name(name), folder)
    labels = LENET.with_name("labels.txt").read_text("utf-8").replace("Dress", "cat")
    (folder / "labels.txt").write_text(labels, "utf-8")
    write_images(folder, labels.splitlines())
    for name, text in (("case.toml", _CASE), ("fleet.toml", _FLEET)):
        (folder / name).write_text(text, "utf-8")
    key = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out signing.key"
    run_in_terminal(f"{key}\nopenssl pkey -in signing.key -pubout -out signing.pub", folder)
    return folder


def write_images(folder: Path, labels: list[str]) -> None:
    """The README's images/, more_images/ and shards/."""
    for source in SAMPLES.iterdir():
        if source.is_dir():
            name = source.name.replace("Dress", "cat")
            shutil.copytree(source, folder / "images" / name)
    with np.load(EVALUATION) as archive:
        images, classes = archive["x"], archive["y"]
    (folder / "shards").mkdir()
    with tarfile.open(folder / "shards" / "0.tar", "w") as shard:
        for number, (image, index) in enumerate(zip(images, classes, strict=True)):
            stream = io.BytesIO()
            Image.fromarray(image).save(stream, "PNG")
            place = folder / "more_images" / labels[index].replace("/", "_").replace(" ", "_")
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.png").write_bytes(stream.getvalue())
            for suffix, content in (("png", stream.getvalue()), ("cls", str(index).encode())):
                member = tarfile.TarInfo(f"{number}.{suffix}")
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))


def test_every_command_runs_in_reading_order(folder: Path) -> None:
    blocks = list(list_blocks())
    assert len({block.page for block in blocks}) >= 12
    assert sum(block.page == "README.md" for block in blocks) >= 14
    failed = [message for block in blocks if (message := find_failure(block, folder))]
    assert not failed, "\n".join(failed)


def find_failure(block: Block, folder: Path) -> str:
    """What went wrong with a block; empty where it ran. The blocks that follow run all the same."""
    try:
        run_in_terminal(block.commands, folder)
    except ClickException as error:
        return f"{block.page}: {error.format_message()}"
    return ""
