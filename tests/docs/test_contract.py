"""What the command line promises, as data: the program, its help, the README, the reference, and
the reports must all agree with it.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import click
import pytest

from nhle_onnx import errors
from nhle_onnx.cli.main import cli
from support import ROOT
from support.runs import Nhle, unlearn
from support.shipped import EVALUATION, LENET

README = (ROOT / "README.md").read_text("utf-8")
REFERENCE = "\n".join(
    path.read_text("utf-8") for path in sorted((ROOT / "docs" / "reference").glob("*.md"))
)
FROM_CODE = "::: nhle-onnx commands"  # the part that the site makes of the commands

MODEL_FLAGS = {
    "--graph-output", "--input", "--labels", "--preprocess", "--mean", "--std", "--size",
    "--layout", "--range", "--channels", "--resize", "--crop-pct", "--resample", "--config",
}  # fmt: skip
VERBOSITY = {"--verbose", "--quiet", "--json"}
GATES = {"--max-acc-f", "--max-acc-r-drop"}
WHERE = {"--provider", "--device", "--batch-size", "--seed"}
COMMANDS = {
    "inspect": MODEL_FLAGS | VERBOSITY | {"--data"},
    "unlearn": MODEL_FLAGS | VERBOSITY | GATES | WHERE | {
        "--forget", "--samples", "--samples-per-class", "--data", "--method", "--loss",
        "--anchors", "--scope", "--mask", "--lr", "--steps", "--effort", "--report", "--out",
        "--force", "--dry-run",
    },
    "verify": MODEL_FLAGS | VERBOSITY | GATES | {
        "--forget", "--data", "--baseline", "--provider", "--batch-size",
    },
    "audit": MODEL_FLAGS | VERBOSITY | WHERE | {
        "--forget", "--data", "--baseline", "--reference", "--report", "--force", "--max-acc-f",
    },
    "diff": {"--json"},
    "patch create": {"--out", "--force", "--json", "--quiet"},
    "patch apply": {"--out", "--force", "--json", "--quiet"},
    "patch inspect": {"--json"},
    "sign": {"--key", "--json"},
    "check-signature": {"--key", "--json"},
    "kit": {"--forget", "--data", "--out"},
    "view": {"--port"},
    "doctor": {"--provider", "--device", "--json"},
}  # fmt: skip
SHORT = {"-v": "--verbose", "-q": "--quiet", "-o": "--out"}
CHOICES = {
    "--method": "nhle-cwm nhle cwm",
    "--loss": "saturating paper-gradient paper-cross-entropy",
    "--scope": "all features last-stage head",
    "--effort": "fast standard thorough",
    "--mask": "auto convex floor zero importance drop",
    "--provider": "auto cpu cuda",
    "--device": "auto cpu cuda",
}
DEFAULTS = {
    "--method": "nhle-cwm", "--samples-per-class": 16, "--loss": "saturating", "--anchors": "auto",
    "--mask": "auto", "--lr": "auto", "--steps": "auto", "--effort": "standard",
    "--max-acc-f": 0.01, "--max-acc-r-drop": 0.035, "--provider": "auto", "--device": "auto",
}  # fmt: skip
EXIT_CODES = {
    1: "a gate failed",
    2: "usage",
    3: "input refused",
    4: "model not supported",
    5: "provider or device not available",
    70: "a bug",
    130: "interrupted",
}
REPORT = {
    "schema": {}, "command": {}, "seed": {}, "tool": {"name", "version"},
    "model": {"path", "sha256", "size_bytes", "opset", "head", "format"},
    "edited": {"path", "sha256", "size_bytes"}, "forget": {},
    "samples": {"forget", "anchors", "eval", "source"}, "preprocess": {"source"},
    "method": {
        "method", "loss", "scope", "mask", "lr", "steps", "effort", "samples_per_class",
        "anchors", "steps_run", "stop_reason",
    },
    "provider": {}, "device": {}, "before": {"acc_f", "acc_r", "per_class"},
    "after": {"acc_f", "acc_r", "per_class"}, "unmasked": {"acc_f"}, "delta_acc_r": {},
    "changed_tensors": {}, "elapsed_s": {}, "checks": {}, "passed": {},
}  # fmt: skip
HEAD = {"op", "node", "weight", "bias", "num_classes", "feature_dim"}
CHECK = {"name", "value", "limit", "better", "passed"}


def list_commands(group: click.Command = cli, prefix: str = "") -> Iterator[str]:
    if not isinstance(group, click.Group):
        yield prefix.strip()
        return
    for name, command in group.commands.items():
        yield from list_commands(command, f"{prefix} {name}")


def find_command(name: str) -> click.Command:
    command: click.Command = cli
    for part in name.split():
        assert isinstance(command, click.Group)
        command = command.commands[part]
    return command


def find_options(name: str) -> dict[str, click.Option]:
    return {
        flag: option
        for option in find_command(name).params
        if isinstance(option, click.Option)
        for flag in option.opts
    }


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A real one; without training, which adds nothing to its keys."""
    out = tmp_path_factory.mktemp("contract") / "edited.onnx"
    return unlearn(LENET, out, "--forget", "3", "--method", "cwm").report


@pytest.mark.parametrize("name", COMMANDS)
def test_the_program_keeps_the_promise(name: str, nhle: Nhle) -> None:
    options = find_options(name)
    assert set(options) >= COMMANDS[name]
    shown = nhle(*name.split(), "--help")
    assert shown.code == 0
    for flag in options:
        assert re.search(rf"(^|\s|, ){flag}\b", shown.out), f"{name} --help lacks {flag}"
    for short, long in SHORT.items():
        assert short not in options or options[short] is options[long]


REQUIRED = {
    "unlearn": {"--forget"},
    "verify": {"--forget", "--data"},
    "audit": {"--forget", "--baseline", "--data"},
    "kit": {"--forget", "--data", "--out"},
    "patch create": {"--out"},
    "patch apply": {"--out"},
}


@pytest.mark.parametrize(
    ("name", "flag"), [(name, flag) for name in REQUIRED for flag in sorted(REQUIRED[name])]
)
def test_what_is_needed_is_asked_for(name: str, flag: str, nhle: Nhle) -> None:
    given = [text for other in REQUIRED[name] - {flag} for text in (other, "x")]
    paths = ["base", "other"] if name.startswith("patch") else ["model"]
    result = nhle(*name.split(), *paths, *given)
    assert result.code == 2
    assert re.search(rf"Missing option.*{flag}", result.err)


@pytest.mark.parametrize("flag", CHOICES)
def test_choices_are_those_promised(flag: str) -> None:
    options = [find_options(name).get(flag) for name in COMMANDS]
    kinds = [option.type for option in options if option is not None]
    assert kinds
    for kind in kinds:
        assert isinstance(kind, click.Choice)
        assert list(kind.choices) == CHOICES[flag].split()


def test_defaults_are_those_promised() -> None:
    options = find_options("unlearn")
    assert {flag: options[flag].default for flag in DEFAULTS} == DEFAULTS


def test_every_command_is_described_in_the_reference_and_the_readme(
    nhle: Nhle,
) -> None:
    listed = nhle("--help").out
    assert FROM_CODE in REFERENCE
    for name in list_commands():
        first = name.split()[0]
        assert re.search(rf"^  {first}\s+\S", listed, re.MULTILINE), f"--help lacks {first}"
        assert re.search(rf"nhle-onnx {name}\b|`{name}", README), f"README lacks {name}"


def test_exit_codes_are_the_same_everywhere(nhle: Nhle) -> None:
    places = {"README": README, "reference": REFERENCE, "--help": nhle("--help").out}
    for place, text in places.items():
        flat = " ".join(text.split())
        for code, meaning in EXIT_CODES.items():
            assert re.search(rf"\b{code} {meaning}", flat), f"{place}: {code} {meaning}"
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    assert {kind.exit_code for kind in classes if hasattr(kind, "exit_code")} <= set(EXIT_CODES)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["verify", LENET, "--forget", 3, "--data", EVALUATION, "--quiet"], 1),
        (["verify", LENET, "--forget", 77, "--data", EVALUATION], 2),
        (["inspect", "--nonsense", LENET], 2),
        (["inspect", "missing.onnx"], 3),
    ],
    ids=["gate", "class", "flag", "file"],
)
def test_exit_codes_are_those_promised(arguments: list[object], code: int, nhle: Nhle) -> None:
    result = nhle(*arguments)
    assert result.code == code
    assert "Traceback" not in result.err


def test_the_report_has_every_key(report: dict[str, Any]) -> None:
    assert report["schema"] == "nhle-onnx/report/v2"
    for key, parts in REPORT.items():
        assert key in report
        assert set(parts) <= (report[key].keys() if parts else set()), key
        assert f"`{key}" in REFERENCE, f"the reference lacks {key}"
    assert report["model"]["head"].keys() >= HEAD
    assert all(check.keys() >= CHECK for check in report["checks"])


def test_every_key_of_the_report_is_explained(report: dict[str, Any]) -> None:
    for key in report:
        assert re.search(rf"`{key}\b", REFERENCE), f"the reference lacks {key}"


def test_json_is_all_that_stdout_holds(nhle: Nhle) -> None:
    result = nhle("verify", LENET, "--forget", 3, "--data", EVALUATION, "--json")
    assert json.loads(result.out)["schema"] == "nhle-onnx/verify/v1"
