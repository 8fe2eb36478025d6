"""The documented way from a request to a device's result runs as it stands in the documentation."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT

PAGE = ROOT / "docs" / "how-to" / "ship-to-a-fleet.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page's lines leave behind, run from what looks like a checkout."""
    folder = tmp_path_factory.mktemp("fleet")
    for name in ("models", "calibration_samples"):
        (folder / name).symlink_to(ROOT / name)
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))
    scripts = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", lines],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


def test_the_device_has_the_edited_model(folder: Path) -> None:
    assert (folder / "device.onnx").read_bytes() == (folder / "edited.onnx").read_bytes()


def test_the_device_finds_nothing_of_the_class(folder: Path) -> None:
    result = json.loads((folder / "device-result.json").read_text("utf-8"))
    report = json.loads((folder / "edited.report.json").read_text("utf-8"))
    assert report["edited"]["sha256"] in json.dumps(result)
    assert report["forget"] == [3]


def test_every_output_is_there(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert {"edited.html", "edited.audit.html", "edited.cdx.json", "edited.nhlepatch.sig"} <= names
