"""`import nhle_onnx`: the commands as functions."""

import doctest
import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import click
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

import nhle_onnx
import nhle_onnx.unlearning.cwm  # binds the package of this name, if nothing prevents it
from architectures.lenet5 import LeNet5
from nhle_onnx.api.checks import check_keywords, find_type, list_keywords
from nhle_onnx.api.keywords import AuditKeywords, InspectKeywords, UnlearnKeywords, VerifyKeywords
from nhle_onnx.cli.main import cli
from nhle_onnx.cli.patch import apply_command, create_command
from nhle_onnx.values.settings.audit import AuditSettings
from nhle_onnx.values.settings.inspect import InspectSettings
from nhle_onnx.values.settings.unlearn import UnlearnSettings
from nhle_onnx.values.settings.verify import VerifySettings
from support import ROOT
from support.runs import Nhle
from support.shipped import EVALUATION, LENET

# what a function has no use for: how results are shown, the process, what it takes by position
SHOWN = {
    "as_json",
    "verbose",
    "quiet",
    "config",
    "save_config",
    "push",
    "log_file",
    "dry_run",
    "model",
}
PROCESS = {"allow_unjudged", "max_memory", "max_seconds", "no_isolation", "is_isolated"}
FUNCTIONS = {
    "unlearn": (UnlearnKeywords, {"forget"}),
    "verify": (VerifyKeywords, {"forget", "data", "device_result"}),
    "audit": (AuditKeywords, {"forget", "data", "baseline"}),
    "inspect": (InspectKeywords, set()),
}
SETTINGS = {
    "unlearn": UnlearnSettings,
    "verify": VerifySettings,
    "audit": AuditSettings,
    "inspect": InspectSettings,
}


@pytest.fixture
def in_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("in_checkout")
@pytest.mark.parametrize("name", ["commands", "patches", "modules"])
def test_examples_in_the_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"nhle_onnx.api.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_importing_is_light() -> None:
    probe = (
        "import sys, nhle_onnx; dir(nhle_onnx); assert not hasattr(nhle_onnx, 'nonsense');"
        "assert not {'numpy', 'onnx', 'pydantic', 'torch'} & set(sys.modules), 'not light';"
        "nhle_onnx.verify, nhle_onnx.apply_patch; assert 'torch' not in sys.modules, 'torch'"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(set(nhle_onnx.__all__) - {"__version__"}))
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert callable(getattr(nhle_onnx, name)), name
    assert getattr(nhle_onnx, name).__doc__


def list_flags(command: click.Command) -> set[str]:
    """Each option's longest name as a keyword would be spelled."""
    options = [item for item in command.params if item.name not in SHOWN | PROCESS]
    return {max(item.opts, key=len).lstrip("-").replace("-", "_") for item in options} - PROCESS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_keywords_are_the_flags(name: str) -> None:
    keywords, own = FUNCTIONS[name]
    assert set(get_type_hints(keywords)) == list_flags(cli.commands[name]) - own


@pytest.mark.parametrize("name", SETTINGS)
def test_what_type_checkers_see_is_what_the_settings_say(name: str) -> None:
    declared = {field.keyword: find_type(field) for field in list_keywords(SETTINGS[name])}
    assert get_type_hints(FUNCTIONS[name][0]) == declared


@pytest.mark.parametrize("name", SETTINGS)
def test_help_says_what_each_keyword_means(name: str) -> None:
    text = " ".join((inspect.getdoc(getattr(nhle_onnx, name)) or "").split())
    for field in list_keywords(SETTINGS[name]):
        assert f" {field.keyword}: {field.option.help}" in text, field.keyword


@pytest.mark.parametrize(
    ("function", "command"),
    [(nhle_onnx.create_patch, create_command), (nhle_onnx.apply_patch, apply_command)],
)
def test_patches_take_the_flags(function: Callable[..., Any], command: click.Command) -> None:
    assert set(get_type_hints(function)) - {"return"} == list_flags(command)


def test_a_function_does_what_the_command_does(nhle: Nhle, tmp_path: Path) -> None:
    by_function, by_command = tmp_path / "a.onnx", tmp_path / "b.onnx"
    report = nhle_onnx.unlearn(str(LENET), forget=3, steps=5, seed=2, out=by_function)
    result = nhle(
        "unlearn", LENET, "--forget", 3, "--steps", 5, "--seed", 2, "--out", by_command, "--json"
    )
    assert by_function.read_bytes() == by_command.read_bytes()
    shown = json.loads(result.out)
    assert shown["after"]["acc_f"] == report.after.acc_f
    assert shown["method"] == report.method
    assert report.command.startswith("nhle_onnx.unlearn(model='")


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"methd": "cwm"},
        {"method": "cmw"},
        {"max_acc_f": 2.0},
        {"mean": "0.5"},
        {"std": (1, 2)},
    ],
    ids=str,
)  # fmt: skip
def test_what_a_flag_refuses_a_keyword_refuses(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(nhle_onnx.UsageError, match=next(iter(wrong))):
        nhle_onnx.unlearn(LENET, forget=3, out=tmp_path / "o.onnx", **wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"also": "ort"}, {"also": ("ort",)}),
        ({"also": ("ort",)}, {"also": ("ort",)}),
        ({"size": (24, 32), "labels": "a.txt"}, {"size": (24, 32), "labels": Path("a.txt")}),
    ],
    ids=str,
)
def test_one_value_may_stand_for_several(given: dict[str, Any], meant: dict[str, Any]) -> None:
    assert check_keywords(UnlearnSettings, given) == meant


def test_verify_takes_several_providers_and_labels() -> None:
    report = nhle_onnx.verify(
        LENET, forget=["Dress", 0], data=EVALUATION, provider=("cpu", "auto"), baseline=None
    )
    assert report.forget == (0, 3)
    assert len(report.providers) == 2
    assert not report.passed


def test_audit_writes_the_page(tmp_path: Path) -> None:
    with np.load(EVALUATION) as archive:
        np.savez(tmp_path / "few.npz", x=archive["x"][:300], y=archive["y"][:300])
    nhle_onnx.unlearn(LENET, forget=3, method="cwm", out=tmp_path / "masked.onnx")
    report = nhle_onnx.audit(
        tmp_path / "masked.onnx",
        baseline=LENET,
        forget="Dress",
        data=tmp_path / "few.npz",
        effort="fast",
        repeats=1,
        report=tmp_path / "audit.html",
    )
    assert report.accuracies["edited"].acc_f == 0.0
    assert not report.passed
    assert "unmasking.original_head" in (tmp_path / "audit.html").read_text("utf-8")
    assert report.command.startswith("nhle_onnx.audit(model='")


@pytest.fixture(scope="module")
def lenet() -> tuple[LeNet5, torch.Tensor, torch.Tensor]:
    """The shipped LeNet-5 as a torch module, with images as it takes them, and their classes."""
    tensors = {
        tensor.name: torch.tensor(numpy_helper.to_array(tensor))
        for tensor in onnx.load(LENET).graph.initializer
    }
    module = LeNet5()
    module.load_state_dict(tensors)
    config = json.loads(LENET.with_name("preprocessor_config.json").read_text("utf-8"))
    with np.load(EVALUATION) as archive:
        pixels, classes = (torch.tensor(archive[name][:500]) for name in ("x", "y"))
    images = (pixels[:, None] / 255 - config["image_mean"][0]) / config["image_std"][0]
    return module, images, classes


def test_a_module_is_exported_and_forgets(
    lenet: tuple[LeNet5, torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    module, images, classes = lenet
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    report = nhle_onnx.unlearn_module(
        module, images, classes, forget=3, out=tmp_path / "new.onnx", samples_per_class=16
    )
    # on 30 images of the class
    assert {check.name for check in report.checks if not check.passed} == {"after.acc_f"}
    assert report.verdict == "not-judged"
    assert report.before.acc_f is not None
    assert report.before.acc_f > 0.8
    assert report.after.acc_f == 0.0
    assert module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"new.onnx", "new.report.json", "new.original.onnx"}
    assert report.model.path == str(tmp_path / "new.original.onnx")
    session = ReferenceEvaluator(str(tmp_path / "new.original.onnx"))
    with torch.no_grad():
        expected = module.eval()(images[:5]).numpy()
    module.train()
    (given,) = session.run(None, {"image": images[:5].numpy()})
    np.testing.assert_allclose(given, expected, atol=1e-4)


def test_nothing_is_written_over(
    lenet: tuple[LeNet5, torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    (tmp_path / "new.original.onnx").write_text("mine")
    with pytest.raises(nhle_onnx.InputRefusedError, match=r"new\.original\.onnx"):
        nhle_onnx.unlearn_module(*lenet, forget=1, out=tmp_path / "new.onnx")
    assert (tmp_path / "new.original.onnx").read_text() == "mine"


def test_a_refused_module_leaves_nothing(
    lenet: tuple[LeNet5, torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    with pytest.raises(nhle_onnx.UsageError, match="out of range"):
        nhle_onnx.unlearn_module(*lenet, forget=99, out=tmp_path / "new.onnx")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    class Broken(nn.Module):
        pass

    with pytest.raises(nhle_onnx.UnsupportedModelError, match="forward"):
        nhle_onnx.unlearn_module(
            Broken(), torch.rand(4, 1, 8, 8), torch.arange(4), forget=1, out=tmp_path / "new.onnx"
        )
