"""Commands that do not train start without torch."""

import subprocess
import sys

import pytest

from support.shipped import EVALUATION, LENET

PROBE = """
import sys
from nhle_onnx.cli.main import run
code = run(sys.argv[1:])
assert "torch" not in sys.modules, "torch was imported"
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["unlearn", "--help"], 0),
        (["verify", str(LENET), "--forget", "3", "--data", str(EVALUATION)], 1),
        (["unlearn", str(LENET), "--forget", "3", "--method", "cwm", "--dry-run"], 0),
        (["unlearn", str(LENET), "--forget", "77"], 2),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else str(value),
)
def test_commands_start_without_torch(arguments: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr


def test_masking_alone_needs_no_torch(tmp_path: object) -> None:
    arguments = ["unlearn", str(LENET), "--forget", "3", "--method", "cwm"]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments, "--out", f"{tmp_path}/o.onnx"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
