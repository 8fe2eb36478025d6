"""The README shows what the program does."""

import re
import subprocess

from nhle_onnx.cli.main import cli
from nhle_onnx.cli.patch import patch_command
from support import ROOT
from support.readme import README, keep_names, read_shown_output
from support.runs import Nhle, Unlearned


def test_the_first_command_prints_what_the_readme_shows(unlearned_mobilenet: Unlearned) -> None:
    shown = unlearned_mobilenet.shown.splitlines()
    assert keep_names(shown) == keep_names(read_shown_output())
    assert shown[-1].startswith("PASSED: at most ")


def test_commands_are_one_line_each_and_use_the_constraints() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 3
    assert all("-c constraints.txt" in command for command in commands)
    assert "torch --extra-index-url https://download.pytorch.org/whl/cpu" in commands[1]
    assert commands[0].endswith(
        "unlearn models/mobilenetv3_small_fashion_mnist/model.onnx --forget 3"
    )


def test_ci_runs_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    extract = next(line for line in script.splitlines() if line.startswith("command="))
    done = subprocess.run(
        ["bash", "-c", f'{extract}; printf %s "$command"'],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout in README.splitlines()
    assert done.stdout.endswith("bash .ci/check")


def test_links_lead_somewhere() -> None:
    for document in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document}: {target}"


def test_every_documented_flag_exists(nhle: Nhle) -> None:
    commands = [(name,) for name in cli.commands if name != "patch"]
    commands += [("patch", name) for name in patch_command.commands]
    known = "".join(nhle(*command, "--help").out for command in commands)
    pages = (page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "results")
    documents = [README, *(page.read_text("utf-8") for page in pages)]  # results name the studies'
    ours = {"--data-root", "--exporter", "--fresh", "--network"}  # of the recipes and the studies
    for flag in set(re.findall(r"`(--[a-z-]+)", "".join(documents))) - ours:
        assert flag in known, flag
