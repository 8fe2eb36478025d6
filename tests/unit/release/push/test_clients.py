"""What a push tells the clients of registries, and what it makes of their errors."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nhle_onnx.errors import UsageError
from nhle_onnx.release.push.choose import parse_target, push_package
from nhle_onnx.release.push.hugging_face import push_hugging_face
from nhle_onnx.release.push.mlflow_run import push_mlflow
from nhle_onnx.values.push import Package, Pushed, Target
from nhle_onnx.values.report import Unmasked
from support.assertions import assert_refuses, assert_told
from support.detection_reports import DETECTED
from support.reports import EDIT, TOOL

PACKAGE = Package(
    name="edited", report=EDIT, card="# card",
    files={"m.onnx": Path("in/m.onnx"), "sub/more/w.bin": Path("in/w.bin"), "A.txt": Path("a")},
)  # fmt: skip
ADDRESS = "https://hub/a/b/commit/0"


class Recorder:
    """Records every call of a client by name, with its arguments; some have answers or fail."""

    def __init__(self, **answers: object) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._answers = answers

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            self.calls.append((name, *arguments, *named.items()))
            answer = self._answers.get(name)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return call


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they set is taken back."""
    for name in ("HF_HUB_DISABLE_TELEMETRY", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def push_to_hub(monkeypatch: pytest.MonkeyPatch, **answers: object) -> list[tuple[Any, ...]]:
    api = Recorder(create_commit=SimpleNamespace(commit_url=ADDRESS), **answers)
    module = SimpleNamespace(
        HfApi=lambda: api,
        CommitOperationAdd=lambda path_in_repo, path_or_fileobj: (path_in_repo, path_or_fileobj),
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    assert push_hugging_face("a/b", PACKAGE) == ADDRESS
    return api.calls


def test_a_private_repository_gets_one_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert push_to_hub(monkeypatch) == [
        ("create_repo", "a/b", ("private", True), ("exist_ok", True)),
        (
            "create_commit",
            "a/b",
            [
                ("A.txt", "a"),
                ("README.md", b"# card"),
                ("m.onnx", "in/m.onnx"),
                ("sub/more/w.bin", "in/w.bin"),
            ],
            ("commit_message", f"edited, made to forget by {' '.join(TOOL.values())}"),
        ),
    ]
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


@pytest.mark.parametrize(
    ("error", "reason"),
    [(OSError("no\n  way"), "hf:a/b was not pushed: no way"),
     (OSError(), "hf:a/b was not pushed: OSError")],
)  # fmt: skip
def test_a_hub_that_refuses(error: OSError, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = assert_refuses(lambda: push_to_hub(monkeypatch, create_repo=error))
    assert found.reason == reason
    assert found.remedy == "Check the name, and log in with `hf auth login` or HF_TOKEN."


class Tracking(Recorder):
    """An MLflow server with or without the experiment."""

    def __init__(self, *, is_known: bool, **answers: object) -> None:
        super().__init__(
            get_experiment_by_name=SimpleNamespace(experiment_id="7") if is_known else None,
            create_experiment="8",
            create_run=SimpleNamespace(info=SimpleNamespace(run_id="r")),
            **answers,
        )


def track(monkeypatch: pytest.MonkeyPatch, client: Tracking) -> str:
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=lambda: client))
    return push_mlflow("forgetting", PACKAGE)


@pytest.mark.parametrize(("is_known", "experiment"), [(True, "7"), (False, "8")])
def test_a_run_holds_options_figures_and_files(
    is_known: object, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Tracking(is_known=bool(is_known))
    assert track(monkeypatch, client) == "forgetting, run r"
    tags = {"nhle-onnx.verdict": "passed", "nhle-onnx.sha256": "e" * 64}
    assert client.calls == [
        ("get_experiment_by_name", "forgetting"),
        *([] if is_known else [("create_experiment", "forgetting")]),
        ("create_run", experiment, ("run_name", "edited"), ("tags", tags)),
        *(
            ("log_param", "r", name, value)
            for name, value in {**EDIT.method, "forget": (3,), "seed": 7}.items()
        ),
        ("log_metric", "r", "before.acc_f", 0.93),
        ("log_metric", "r", "before.acc_r", 0.9272),
        ("log_metric", "r", "after.acc_f", 0.0),
        ("log_metric", "r", "after.acc_r", 0.92944),
        ("log_metric", "r", "unmasked.acc_f", 0.01234),
        ("log_metric", "r", "delta_acc_r", 0.0022),
        ("log_artifact", "r", "in/m.onnx", None),
        ("log_artifact", "r", "in/w.bin", "sub/more"),
        ("log_artifact", "r", "a", None),
        ("log_text", "r", "# card", "README.md"),
        ("set_terminated", "r"),
    ]
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_figure_that_was_not_measured_is_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Tracking(is_known=True)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=lambda: client))
    report = replace(EDIT, unmasked=Unmasked(acc_f=None))
    push_mlflow("forgetting", replace(PACKAGE, report=report))
    logged = [call[2] for call in client.calls if call[0] == "log_metric"]
    assert logged == ["before.acc_f", "before.acc_r", "after.acc_f", "after.acc_r", "delta_acc_r"]


def test_a_detector_has_figures_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Tracking(is_known=True)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=lambda: client))
    push_mlflow("forgetting", replace(PACKAGE, report=DETECTED))
    logged = {call[2]: call[3] for call in client.calls if call[0] == "log_metric"}
    assert logged == {
        "before.ap_f": 0.75, "before.map_r": 0.5, "after.ap_f": 0.0, "after.map_r": 0.4375,
        "unmasked.ap_f": 0.125, "unmasked.map_r": 0.4375, "delta_map_r": -0.0625,
    }  # fmt: skip


@pytest.mark.parametrize(("words", "told"), [("no\n  way", "no way"), ("", "OSError")])
def test_a_run_that_breaks_off_is_marked(
    words: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Tracking(is_known=True, log_text=OSError(*[words] * bool(words)))
    found = assert_refuses(lambda: track(monkeypatch, client))
    assert found.reason == f"mlflow:forgetting was not pushed: {told}"
    assert found.remedy == "Check MLFLOW_TRACKING_URI, and the name of the experiment."
    assert client.calls[-1] == ("set_terminated", "r", "FAILED")


@pytest.mark.parametrize(
    ("push", "module", "reason", "remedy"),
    [
        (push_hugging_face, "huggingface_hub",
         "hf: needs a package that is not installed: huggingface_hub", "'.[hub]'"),
        (push_mlflow, "mlflow",
         "mlflow: needs a package that is not installed: mlflow-skinny", "'.[mlflow]'"),
    ],
)  # fmt: skip
def test_a_client_that_is_not_installed(
    push: Callable[[str, Package], str],
    module: str,
    reason: str,
    remedy: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError) as caught:
        push("a", PACKAGE)
    assert_told(caught.value, reason)
    assert caught.value.remedy == f"Install the extra: pip install {remedy}."


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("hf:a/b", Target(registry="hf", place="a/b")),
        ("oci:C:x:v1", Target(registry="oci", place="C:x:v1")),
        ("mlflow:a b", Target(registry="mlflow", place="a b")),
    ],
)
def test_a_target_is_read(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert str(target) == text


@pytest.mark.parametrize("text", ["s3:bucket", "hf:", "oci", ":x", "HF:a/b"])
def test_a_target_that_names_no_registry(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    assert_told(caught.value, f"{text} names no registry")
    assert caught.value.remedy == "Give mlflow:EXPERIMENT, hf:OWNER/NAME or oci:FOLDER."


def test_a_package_goes_to_its_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Tracking(is_known=True)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=lambda: client))
    pushed = push_package(Target(registry="mlflow", place="forgetting"), PACKAGE)
    assert pushed == Pushed(target="mlflow:forgetting", place="forgetting, run r")
    assert client.calls[-1] == ("set_terminated", "r")
