"""Shell completion, as the shell asks for it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT

PROGRAM = Path(sys.executable).with_name("nhle-onnx")
PAGE = ROOT / "docs" / "how-to" / "shell-completion.md"
# What a shell does at a press of the tab key after the words "$@".
TAB = """
eval "$(_NHLE_ONNX_COMPLETE=bash_source nhle-onnx)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
compopt() { local IFS=" "; echo "compopt $*"; }
_nhle_onnx_completion nhle-onnx
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words: str) -> list[str]:
    """The lines that bash gets for a command line whose last word is begun."""
    if shutil.which("bash") is None or not PROGRAM.is_file():
        pytest.skip("needs bash and the installed program")
    environment = {**os.environ, "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", TAB, "bash", "nhle-onnx", *words],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    assert not done.stderr
    return done.stdout.split("\n")[:-1]


def test_commands_are_completed() -> None:
    assert complete("ver") == ["verify"]
    assert {"inspect", "unlearn", "verify", "audit", "patch"} <= set(complete(""))


def test_commands_of_a_group_are_completed() -> None:
    assert {"create", "apply", "inspect"} <= set(complete("patch", ""))


def test_flags_are_completed() -> None:
    assert complete("verify", "--forg") == ["--forget"]
    assert {"--method", "--samples", "--out"} <= set(complete("unlearn", "--"))


def test_choices_are_completed() -> None:
    assert complete("unlearn", "--method", "nhle") == ["nhle-cwm", "nhle"]


@pytest.mark.parametrize(
    "words", [("verify", "mod"), ("unlearn", "model.onnx", "--out", "e"), ("patch", "apply", "b")]
)
def test_files_are_left_to_the_shell(words: tuple[str, ...]) -> None:
    assert complete(*words)[0] == "compopt -o default"


def test_nothing_heavy_is_imported() -> None:
    """What makes completion quick; its time stands in docs/results/speed.md."""
    program = """
import sys
from nhle_onnx.cli.main import main
sys.argv = ["nhle-onnx"]
try:
    main()
finally:
    heavy = {"numpy", "onnx", "onnxruntime", "torch", "rich", "PIL", "pydantic"} & set(sys.modules)
    assert not heavy, heavy
"""
    words = {"COMP_WORDS": "nhle-onnx verify --", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True,
        check=False, env={**os.environ, **words, "_NHLE_ONNX_COMPLETE": "bash_complete"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--forget" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_page_names_scripts_that_work(shell: str) -> None:
    if not PROGRAM.is_file():
        pytest.skip("needs the installed program")
    assert f"_NHLE_ONNX_COMPLETE={shell}_source nhle-onnx" in PAGE.read_text("utf-8")
    environment = {**os.environ, "_NHLE_ONNX_COMPLETE": f"{shell}_source"}
    done = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, env=environment)
    assert re.search(r"complet", done.stdout)
