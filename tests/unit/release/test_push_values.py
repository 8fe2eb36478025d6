"""What is pushed: the card, and what each registry is told."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.release.push.card import render_card
from nhle_onnx.release.push.mlflow_run import push_mlflow
from nhle_onnx.release.push.oci import push_oci
from nhle_onnx.values.push import Package
from nhle_onnx.values.report import Accuracy
from nhle_onnx.values.verdict import Check
from support.assertions import assert_told
from support.reports import EDIT


class Client:
    """Records what MLflow's client is told."""

    def __init__(self, *, full: bool) -> None:
        self.full = full
        self.told: dict[str, Any] = {"param": {}, "metric": {}, "artifact": {}}

    def get_experiment_by_name(self, _name: str) -> None:
        """Find none."""

    def create_experiment(self, name: str) -> str:
        return f"of {name}"

    def create_run(self, experiment: str, **told: Any) -> Any:  # noqa: ANN401 - as MLflow's
        self.told |= {"experiment": experiment, **told}
        return SimpleNamespace(info=SimpleNamespace(run_id="r1"))

    def log_param(self, _run: str, name: str, value: object) -> None:
        self.told["param"][name] = value

    def log_metric(self, _run: str, name: str, value: float) -> None:
        self.told["metric"][name] = value

    def log_artifact(self, _run: str, path: str, folder: str | None) -> None:
        if self.full:
            raise OSError("no space left")
        self.told["artifact"][path] = folder

    def log_text(self, _run: str, text: str, name: str) -> None:
        self.told[name] = text

    def set_terminated(self, run: str, status: str = "FINISHED") -> None:
        self.told["status"] = (run, status)


def push(client: Client, monkeypatch: pytest.MonkeyPatch) -> str:
    module = SimpleNamespace(MlflowClient=lambda: client)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    files = {"m.onnx": Path("a/m.onnx"), "in/w.bin": Path("a/in/w.bin")}
    report = replace(EDIT, unmasked=replace(EDIT.unmasked, acc_f=None))
    return push_mlflow("digits", Package(name="m", report=report, files=files, card="# m"))


def test_a_run_is_told_options_figures_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(full=False)
    assert push(client, monkeypatch) == "digits, run r1"
    told = client.told
    assert told["experiment"] == "of digits"
    assert told["tags"]["nhle-onnx.sha256"] == EDIT.edited.sha256
    assert told["param"] == {**EDIT.method, "forget": EDIT.forget, "seed": EDIT.seed}
    assert told["metric"]["after.acc_r"] == EDIT.after.acc_r
    assert "unmasked.acc_f" not in told["metric"]  # it was not measured
    assert told["artifact"] == {"a/m.onnx": None, "a/in/w.bin": "in"}
    assert (told["README.md"], told["status"]) == ("# m", ("r1", "FINISHED"))


def test_a_run_that_ends_half_way_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(full=True)
    with pytest.raises(InputRefusedError) as caught:
        push(client, monkeypatch)
    assert_told(caught.value, "mlflow:digits was not pushed: no space left")
    assert client.told["status"] == ("r1", "FAILED")


@pytest.mark.parametrize(
    ("mark", "index"),
    [
        ({"imageLayoutVersion": "2.0.0"}, {"manifests": []}),
        ({"imageLayoutVersion": "1.0.0"}, {"manifests": {}}),
        ({"imageLayoutVersion": "1.0.0"}, []),
    ],
)
def test_another_folder_than_a_layout_stays_as_it_is(
    mark: object, index: object, tmp_path: Path
) -> None:
    (tmp_path / "oci-layout").write_text(json.dumps(mark))
    (tmp_path / "index.json").write_text(json.dumps(index))
    package = Package(name="m", report=EDIT, files={}, card="")
    with pytest.raises(InputRefusedError, match="is not an OCI layout"):
        push_oci(str(tmp_path), package)
    assert json.loads((tmp_path / "index.json").read_text()) == index


def test_a_card_says_what_was_not_judged_and_why() -> None:
    gap = "10 images are too few"
    after = Accuracy(acc_f=None, acc_r=0.5, per_class=(None,) * 10)
    check = Check(name="after.acc_f", value=0.0, limit=0.01, better="lower", gap=gap)
    card = render_card(replace(EDIT, after=after, checks=(check,)))
    assert "name: acc_r, value: 0.500000" in card
    assert "name: acc_f" not in card
    assert gap in card
