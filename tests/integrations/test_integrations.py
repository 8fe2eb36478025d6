"""The action, the container and the hook: they run here, or keep the schemas that are published.

Tests that need the extra `integrations` are skipped without it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from nhle_onnx.cli.hook import main as check_models
from support import ROOT
from support.detection_reports import write_detector, write_graph
from support.runs import Unlearned
from support.shipped import EVALUATION, LENET

ACTION = ROOT / "integrations" / "github" / "action.yml"
DOCKERFILE = ROOT / "integrations" / "docker" / "Dockerfile"
HOOKS = ROOT / ".pre-commit-hooks.yaml"
PAGE = (ROOT / "docs" / "how-to" / "integrations.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def run_tool(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run another program of this environment; skip where it is not installed."""
    pytest.importorskip(module.partition(".")[0])
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip


def check_schema(name: str, path: Path) -> subprocess.CompletedProcess[str]:
    return run_tool("check_jsonschema", "--builtin-schema", f"vendor.{name}", path)


def test_the_action_keeps_githubs_schema(tmp_path: Path) -> None:
    done = check_schema("github-actions", ACTION)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "action.yml"
    broken.write_text(ACTION.read_text("utf-8").replace("shell: bash", "shel: bash"))
    assert check_schema("github-actions", broken).returncode == 1


def test_the_example_keeps_githubs_schema_and_uses_the_actions_inputs(tmp_path: Path) -> None:
    workflow = yaml.safe_load(EXAMPLES[0])
    given = next(step for step in workflow["jobs"]["gate"]["steps"] if step.get("id") == "gate")
    assert given["uses"].endswith("/integrations/github")
    inputs = yaml.safe_load(ACTION.read_text("utf-8"))["inputs"]
    assert given["with"].keys() <= inputs.keys()
    needed = {name for name, each in inputs.items() if each.get("required")}
    assert needed <= given["with"].keys()
    path = tmp_path / "workflow.yml"
    path.write_text(EXAMPLES[0])
    done = check_schema("github-workflows", path)
    assert done.returncode == 0, done.stdout


def run_gate(folder: Path, **given: str) -> tuple[int, str, str]:
    """Run the action's step as GitHub does: inputs and files in variables."""
    action = yaml.safe_load(ACTION.read_text("utf-8"))
    step = next(step for step in action["runs"]["steps"] if step.get("id") == "gate")
    inputs = {name: each.get("default", "") for name, each in action["inputs"].items()} | given
    scripts = Path(sys.executable).parent
    program = folder / "bin" / "nhle-onnx"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nhle_onnx "$@"\n')
    program.chmod(0o755)
    surroundings = {
        name: inputs[re.sub(r".*inputs\.(\S+) .*", r"\1", value)]
        for name, value in step["env"].items()
        if "inputs." in value
    }
    files = {name: str(folder / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    done = subprocess.run(
        ["bash", "-c", step["run"]], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | surroundings | files | {
            "GATE": str(ACTION.with_name("gate.sh")),
            "PATH": f"{program.parent}{os.pathsep}{scripts}{os.pathsep}{os.environ['PATH']}",
        },
    )  # fmt: skip
    read = (Path(file) for file in files.values())
    output, summary = (file.read_text("utf-8") if file.exists() else "" for file in read)
    return done.returncode, output, summary


GIVEN = {"model": str(LENET), "forget": "Dress", "data": str(EVALUATION)}


def test_the_gate_fails_the_job_and_shows_why(tmp_path: Path) -> None:
    code, output, summary = run_gate(tmp_path, **GIVEN, arguments="--quiet\n--max-acc-f=0.02")
    assert (code, output) == (1, "verdict=failed\n")
    assert summary.startswith("# FAILED: verify, forgetting 3 Dress")
    assert "0.0200" in summary
    assert json.loads((tmp_path / "nhle-onnx-report.json").read_text("utf-8"))["passed"] is False


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (GIVEN | {"model": "none.onnx"}, 3),
        (GIVEN | {"forget": "$(touch made); `touch made`"}, 2),
        (GIVEN | {"command": "sign; touch made"}, 2),
    ],
    ids=["no model", "a command as a class", "a command as a command"],
)
def test_what_is_given_is_never_run(given: dict[str, str], code: int, tmp_path: Path) -> None:
    assert run_gate(tmp_path, **given)[0] == code
    assert not (tmp_path / "made").exists()


def test_the_dockerfile_is_clean(tmp_path: Path) -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("hadolint is not installed")
    assert subprocess.run([program, str(DOCKERFILE)], check=False).returncode == 0
    broken = tmp_path / "Dockerfile"
    broken.write_text(DOCKERFILE.read_text("utf-8").replace("--no-cache-dir", ""))
    done = subprocess.run([program, str(broken)], capture_output=True, check=False)
    assert done.returncode == 1


def test_the_image_holds_what_the_package_needs() -> None:
    """Every file that the Dockerfile copies exists, and the build context lets it through."""
    lines = DOCKERFILE.read_text("utf-8").splitlines()
    copied = [name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]]
    allowed = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert {"pyproject.toml", "toolkit/nhle_onnx", "constraints.txt"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in allowed


def test_the_hook_keeps_pre_commits_schema() -> None:
    done = run_tool("pre_commit", "validate-manifest", HOOKS)
    assert done.returncode == 0, done.stdout


def test_the_example_names_the_hook(tmp_path: Path) -> None:
    config = tmp_path / ".pre-commit-config.yaml"
    config.write_text(EXAMPLES[1])
    named = yaml.safe_load(EXAMPLES[1])["repos"][0]["hooks"][0]["id"]
    assert named in {hook["id"] for hook in yaml.safe_load(HOOKS.read_text("utf-8"))}
    assert run_tool("pre_commit", "validate-config", config).returncode == 0


@pytest.fixture
def folder(unlearned_lenet: Unlearned, tmp_path: Path) -> Path:
    """A folder with an edited model and its report, and a model that was never edited."""
    for path in (unlearned_lenet.edited, unlearned_lenet.edited.with_suffix(".report.json"), LENET):
        shutil.copy(path, tmp_path)
    return tmp_path


def run_hook(*arguments: object) -> Result:
    pattern = re.compile(yaml.safe_load(HOOKS.read_text("utf-8"))[0]["files"])
    assert all(pattern.search(str(each)) for each in arguments if isinstance(each, Path))
    return CliRunner().invoke(check_models, list(map(str, arguments)))


def test_the_hook_accepts_what_belongs_together(folder: Path) -> None:
    report = folder / "edited.report.json"
    done = run_hook(folder / "edited.onnx", report, folder / "model.onnx")
    assert (done.exit_code, done.output) == (0, "")
    assert run_hook().exit_code == 0


def test_the_hook_takes_detectors(tmp_path: Path) -> None:
    model, report = write_detector(tmp_path)
    assert (run_hook(model).exit_code, run_hook(model).output) == (0, "")
    shutil.copy(write_graph(tmp_path / "another.onnx"), model)
    assert "is about" in run_hook(report).output


def test_the_hook_refuses_another_model_and_another_verdict(folder: Path) -> None:
    report = folder / "edited.report.json"
    document = json.loads(report.read_text("utf-8"))
    check = {"value": None, "gap": "x", "verdict": "not-judged", "passed": False}
    opened = document | {"verdict": "not-judged", "passed": False}
    opened["checks"] = [document["checks"][0] | check]
    report.write_text(json.dumps(opened), "utf-8")
    assert "its report says not-judged" in run_hook(report).output
    assert run_hook("--allow-unjudged", report).exit_code == 0
    shutil.copy(LENET, folder / "edited.onnx")
    done = run_hook(folder / "edited.onnx")
    assert (done.exit_code, "is about" in done.output) == (1, True)
    report.write_text("{}", "utf-8")
    assert "is not a report of `unlearn`" in run_hook(folder / "edited.onnx").output
