"""The command, on models of which we know what an audit must say."""

import contextlib
import hashlib
import html
import io
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from scipy.special import log_softmax
from torch.nn import functional

from architectures import LeNet5
from nhle_onnx.auditing import shadows
from nhle_onnx.auditing.attacks import revival
from nhle_onnx.auditing.context import AuditContext
from nhle_onnx.auditing.measures import make_measure
from nhle_onnx.cli.main import run
from nhle_onnx.graph.element_types import ELEMENT_TYPES
from nhle_onnx.release.page.explanations import explain_figure, name_check
from nhle_onnx.release.page.figures import format_plain
from nhle_onnx.values.audit import Measure
from nhle_onnx.workflows import attacks
from nhle_onnx.workflows.attacks import Attack, Tools
from support.runs import Nhle, Result, make_interruptible, unlearn
from support.shipped import EVALUATION, LENET, copy_sidecars

FORGOTTEN = 5  # Sandal: next to nothing else of Fashion-MNIST teaches its features


class Models(NamedTuple):
    """Networks of one recipe, with a class and twice without it, the first one masked, and samples:
    those that all were trained on, and others.
    """

    original: Path
    masked: Path
    retrained: Path
    reference: Path
    data: Path
    members: Path


def audit(*arguments: object) -> Result:
    """Run `audit` on the CPU, each quick attack once unless told otherwise; the capturing fixtures
    of pytest live no longer than a test.
    """
    if "--effort" not in arguments:
        arguments = (*arguments, "--effort", "fast")
    if "--repeats" not in arguments:
        arguments = (*arguments, "--repeats", 1)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(["audit", *map(str, arguments), "--device", "cpu", "--provider", "cpu"])
    return Result(code, out.getvalue(), err.getvalue())


def write_samples(path: Path, first: int, last: int, classes: tuple[int, ...] = ()) -> Path:
    """The evaluation samples number `first` to `last` of each class, or of some classes."""
    with np.load(EVALUATION) as archive:
        images, labels = archive["x"], archive["y"]
    chosen = np.concatenate(
        [np.flatnonzero(labels == index)[first:last] for index in classes or range(10)]
    )
    np.savez(path, x=images[chosen], y=labels[chosen])
    return path


def train_lenet(samples: Path, without: int | None = None, seed: int = 0) -> LeNet5:
    with np.load(samples) as archive:
        kept = archive["y"] != without
        images = torch.tensor(archive["x"][kept, None] / 255, dtype=torch.float32)
        labels = torch.tensor(archive["y"][kept], dtype=torch.int64)
    images = (images - 0.286) / 0.353
    torch.manual_seed(seed)
    network, rate, epochs = LeNet5(), 6e-3, 15
    batches = -(-len(labels) // 50)
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * batches)
    for _ in range(epochs):
        for batch in torch.randperm(len(labels)).split(50):
            optimizer.zero_grad()
            scores = network(images[batch])
            functional.cross_entropy(scores, labels[batch], label_smoothing=0.1).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def export(network: LeNet5, path: Path) -> Path:
    axes = {"image": {0: "batch"}, "logits": {0: "batch"}}
    torch.onnx.export(
        network, (torch.zeros(2, 1, 28, 28),), path, dynamo=False, opset_version=17,
        input_names=["image"], output_names=["logits"], dynamic_axes=axes,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Models:  # noqa: ARG001
    folder = tmp_path_factory.mktemp("models")
    copy_sidecars(folder)
    members = write_samples(folder / "members.npz", 0, 120)
    data = write_samples(folder / "data.npz", 120, 180)
    original = export(train_lenet(members), folder / "original.onnx")
    retrained = export(train_lenet(members, without=FORGOTTEN), folder / "retrained.onnx")
    reference = export(train_lenet(members, without=FORGOTTEN, seed=1), folder / "reference.onnx")
    masked = folder / "masked.onnx"
    run(
        ["unlearn", str(original), "--forget", str(FORGOTTEN), "--method", "cwm", "--quiet",
         "--out", str(masked), "--samples", str(members), "--data", str(data)]
    )  # fmt: skip
    return Models(original, masked, retrained, reference, data, members)


class Audited(NamedTuple):
    """What an audit with a reference said."""

    code: int
    report: dict[str, Any]


def audit_beside(model: Path, models: Models, *arguments: object) -> Audited:
    digests = {path: digest(path) for path in models}
    result = audit(
        model, "--baseline", models.original, "--reference", models.reference,
        "--forget", FORGOTTEN, "--data", models.data, "--json", *arguments,
    )  # fmt: skip
    assert {path: digest(path) for path in models} == digests  # it changes no file
    return Audited(result.code, json.loads(result.out))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def page(models: Models) -> Path:
    return models.data.with_name("page.html")


@pytest.fixture(scope="module")
def masked(models: Models, page: Path) -> Audited:
    """With all that can be given."""
    trajectory = models.masked.with_suffix(".report.json")
    return audit_beside(
        models.masked, models, "--members", models.members, "--report", page,
        "--unlearn-report", trajectory,
    )  # fmt: skip


@pytest.fixture(scope="module")
def retrained(models: Models) -> Audited:
    return audit_beside(models.retrained, models)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some samples of each class, for the shipped model."""
    return write_samples(tmp_path_factory.mktemp("few") / "few.npz", 0, 20)


@pytest.fixture(scope="module")
def unforgotten(few: Path, one_thread: None) -> Result:  # noqa: ARG001
    """The shipped model audited against itself, as JSON."""
    return audit(LENET, "--baseline", LENET, "--forget", 3, "--data", few, "--json")


WITH_ORIGINAL_HEAD = {
    "unmasking.original_head",
    *(f"quantization.{form}.unmasked" for form in ("int8", "int4", "static_int8")),
}


def list_failed(report: dict[str, Any]) -> set[str]:
    return {check["name"] for check in report["checks"] if check["verdict"] == "failed"}


def list_open(report: dict[str, Any]) -> dict[str, str]:
    """What was not judged, and why."""
    return {
        check["name"]: check["gap"]
        for check in report["checks"]
        if check["verdict"] == "not-judged"
    }


def read_measures(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {measure["name"]: measure for measure in report["measures"]}


def test_a_model_that_forgot_nothing_fails(unforgotten: Result) -> None:
    report = json.loads(unforgotten.out)
    assert unforgotten.code == 1
    assert not report["passed"]
    assert {"after.acc_f", "unmasking.original_head", "quantization.int8.acc_f"} <= list_failed(
        report
    )
    for measure in report["measures"]:
        if measure["attack"] != "quantization":
            assert measure["edited"] == measure["original"], measure["name"]
    assert report["accuracies"]["edited"] == report["accuracies"]["original"]


def test_masking_alone_is_found_out(masked: Audited) -> None:
    """The head says nothing, the features say all: as much as those of the original."""
    assert masked.code == 1
    assert masked.report["accuracies"]["edited"]["acc_f"] == 0
    assert list_failed(masked.report) == {
        *WITH_ORIGINAL_HEAD,
        "unmasking.rebuilt_row",
        "unmasking.rebuilt_row.position",
        "probe.recall.position",
        "relearning.mean_acc_f.position",
    }
    measures = read_measures(masked.report)
    assert measures["unmasking.original_head"]["edited"] > 0.9
    assert measures["traces.guessed"]["edited"] == 1
    for name in (
        "unmasking.rebuilt_row",
        "probe.recall",
        "relearning.mean_acc_f",
        "relearning.steps",
    ):
        assert measures[name]["edited"] == measures[name]["original"]
        assert measures[name]["position"] == 0


def test_attacks_that_vary_are_repeated_and_given_with_their_range(few: Path) -> None:
    """They hang on which samples the attacker holds."""
    flags = ("--baseline", LENET, "--forget", 3, "--data", few, "--json")
    once, thrice = (
        read_measures(json.loads(audit(LENET, *flags, "--repeats", repeats).out))
        for repeats in (1, 3)
    )
    for name in ("unmasking.rebuilt_row", "probe.recall", "relearning.steps"):
        low, high = thrice[name]["interval"]
        assert low <= thrice[name]["edited"] <= high
        assert low <= once[name]["edited"] <= high
    assert once["relearning.steps"]["interval"] is None
    assert thrice["relearning.steps"]["cap"] == 40


def test_a_retrained_model_passes(retrained: Audited) -> None:
    assert retrained.code == 0
    assert retrained.report["verdict"] == "passed"
    measures = read_measures(retrained.report)
    for name in ("unmasking.rebuilt_row", "probe.recall", "relearning.mean_acc_f"):
        assert measures[name]["position"] > 0.5
    assert measures["relearning.ain"]["edited"] > 0.5


def test_members_are_asked_about_where_they_are_given(masked: Audited) -> None:
    assert not masked.report["skipped"]
    assert masked.report["samples"] == {
        "attack": 300, "judge": 300, "members": 120, "source": masked.report["samples"]["source"]
    }  # fmt: skip
    found = [m for m in masked.report["measures"] if m["attack"] == "membership"]
    assert len(found) == 6
    for measure in found:
        low, high = measure["interval"]
        assert 0 <= low <= measure["edited"] <= high <= 1


def test_what_cannot_be_concluded_is_said(unforgotten: Result) -> None:
    report = json.loads(unforgotten.out)
    assert not [check for check in report["checks"] if check["name"].endswith("position")]
    [skipped] = report["skipped"]
    assert skipped["attack"] == "membership"
    assert "--members" in skipped["reason"]


def test_terminal_and_page_show_the_figures_of_the_json(
    unforgotten: Result, few: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    shown = audit(
        LENET, "--baseline", LENET, "--forget", 3, "--data", few, "--report", page, "--quiet"
    )
    assert shown.code == 1
    assert shown.out.splitlines()[-1].startswith("FAILED: ")
    lines = [line.split() for line in shown.out.splitlines()]
    written = html.unescape(page.read_text("utf-8").partition("Every figure as the JSON has it")[2])
    report = json.loads(unforgotten.out)
    for measure in report["measures"]:
        figures = [
            "-" if measure[role] is None else f"{measure[role]:.4f}"
            for role in ("original", "edited", "reference", "position")
        ]
        interval = [f"{end:.4f}" for end in measure["interval"] or ()] or ["-", "-"]
        line = next(line for line in lines if line[:1] == [measure["name"]])
        assert [line[1], line[2], *line[-2:]] == figures
        row = written.partition(f">{measure['name']}<")[2].partition("</tr>")[0]
        assert re.findall(r">(-|-?[\d.]+)<", row) == [*figures[:2], *interval, *figures[2:]]
    for check in report["checks"]:
        value = "-" if check["value"] is None else f"{check['value']:.4f}"
        assert [check["name"], value] in [line[:2] for line in lines]
    assert "not run  membership" in shown.out
    assert str(page) in shown.out


def test_the_page_names_every_file_and_each_failed_check(masked: Audited, page: Path) -> None:
    written = page.read_text("utf-8")
    for role in ("model", "baseline", "reference"):
        assert masked.report[role]["sha256"] in written
    verdict = html.unescape(written.partition("Failed:")[2].partition("</div>")[0])
    measures = tuple(
        make_measure(each["attack"], each["name"].partition(".")[2], each["title"], {})
        for each in masked.report["measures"]
    )
    for name in list_failed(masked.report):
        assert name_check(name, measures) in verdict


def test_the_page_shows_how_training_went(few: Path, tmp_path: Path) -> None:
    edited, page = tmp_path / "edited.onnx", tmp_path / "page.html"
    unlearned = unlearn(LENET, edited, "--forget", "3", "--steps", "3")
    audit(
        edited, "--baseline", LENET, "--forget", 3, "--data", few, "--report", page,
        "--unlearn-report", edited.with_suffix(".report.json"),
    )  # fmt: skip
    margins = [point["forget_margin"] for point in unlearned.report["trajectory"]]
    first, last = (format_plain(margin) for margin in (margins[0], margins[-1]))
    assert f"The largest margin goes from {first} to {last}" in page.read_text("utf-8")


def test_a_reference_that_knows_the_class_is_called_out(few: Path, tmp_path: Path) -> None:
    masked = tmp_path / "masked.onnx"
    unlearn(LENET, masked, "--forget", "3", "--method", "cwm")
    result = audit(
        LENET, "--baseline", LENET, "--reference", masked, "--forget", 3, "--data", few, "--json"
    )
    assert "was not trained from scratch" in json.loads(result.out)["notes"][0]


def test_a_model_edited_by_hand_can_be_audited(few: Path, tmp_path: Path) -> None:
    """By another tool, which masks with -inf and stores tensors in another order."""
    model = onnx.load(LENET)
    for tensor in model.graph.initializer:
        if tensor.name == "classifier.bias":
            bias = numpy_helper.to_array(tensor).copy()
            bias[3] = -np.inf
            tensor.CopyFrom(numpy_helper.from_array(bias, tensor.name))
    model.graph.initializer.sort(key=lambda tensor: tensor.name)
    edited = tmp_path / "edited.onnx"
    onnx.save(model, edited)
    result = audit(edited, "--baseline", LENET, "--forget", "Dress", "--data", few, "--json")
    report = json.loads(result.out)
    assert result.code == 1
    assert "unmasking.original_head" in list_failed(report)
    assert list_failed(report) <= {*WITH_ORIGINAL_HEAD, "unmasking.rebuilt_row"}
    assert read_measures(report)["traces.guessed"]["edited"] == 1


def test_no_other_network_is_relearned(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Than the one that ONNX Runtime runs, as closely as its number format allows."""
    row = replace(ELEMENT_TYPES[TensorProto.FLOAT], tolerance=-1.0)
    monkeypatch.setitem(ELEMENT_TYPES, TensorProto.FLOAT, row)
    result = audit(LENET, "--baseline", LENET, "--forget", 3, "--data", few, "--json")
    skipped = {each["attack"]: each["reason"] for each in json.loads(result.out)["skipped"]}
    assert "cannot be trained: the trainable form of the model differs" in skipped["relearning"]


def test_onnx_runtime_says_nothing_of_shapes_that_a_model_declares(
    few: Path, tmp_path: Path
) -> None:
    model = onnx.load(LENET)
    name = next(node.output[0] for node in model.graph.node if node.op_type == "Relu")
    del model.graph.value_info[:]
    model.graph.value_info.append(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 6, 5, 5])
    )
    onnx.save(model, tmp_path / "model.onnx")
    arguments = ["audit", tmp_path / "model.onnx", "--baseline", LENET, "--forget", "3"]
    command = [
        sys.executable,
        "-m",
        "nhle_onnx",
        *map(str, arguments),
        "--data",
        few,
        "--quiet",
        "--repeats",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert not done.stderr


def refuse(nhle: Nhle, *arguments: object, model: Path = LENET, baseline: Path = LENET) -> str:
    """What the program says; that it refuses, briefly, and before it reads any answers."""
    result = nhle("audit", model, "--baseline", baseline, "--forget", 3, *arguments)
    assert result.code == 3, result.err
    assert not result.out
    assert "remedy:" in result.err
    assert "Traceback" not in result.err
    assert "attack" not in result.err
    return result.err


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[1]",
        "{}",
        '{"trajectory": 5}',
        '{"trajectory": [1, 2]}',
        '{"trajectory": [{"lead": "high"}]}',
    ],
)
def test_what_is_no_report_of_unlearn_is_refused(
    text: str, nhle: Nhle, few: Path, tmp_path: Path
) -> None:
    report, page = tmp_path / "report.json", tmp_path / "page.html"
    report.write_text(text)
    err = refuse(nhle, "--data", few, "--unlearn-report", report, "--report", page)
    assert "is not a report of `unlearn`" in err
    assert "loading" not in err
    assert not page.exists()


def test_models_of_other_classes_or_images_are_refused(
    nhle: Nhle, few: Path, tmp_path: Path
) -> None:
    copy_sidecars(tmp_path)
    (tmp_path / "labels.txt").unlink()
    seven = export(LeNet5(num_classes=7), tmp_path / "seven.onnx")
    err = refuse(nhle, "--data", few, baseline=seven)
    assert "10 classes" in err
    assert "7" in err
    mobilenet = LENET.parents[1] / "mobilenetv3_small_fashion_mnist" / "model.onnx"
    assert "takes images of" in refuse(nhle, "--data", few, "--reference", mobilenet)


def test_too_few_samples_are_refused(nhle: Nhle, tmp_path: Path) -> None:
    one = write_samples(tmp_path / "one.npz", 0, 1)
    assert "fewer than two samples of class 3" in refuse(nhle, "--data", one)
    alone = write_samples(tmp_path / "alone.npz", 0, 9, classes=(3,))
    assert "any retained class" in refuse(nhle, "--data", alone)


@pytest.mark.parametrize("flag", ["--baseline", "--reference", "--data", "--members"])
def test_a_missing_file_is_refused(flag: str, nhle: Nhle, few: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert str(missing) in refuse(nhle, "--data", few, flag, missing)


def test_a_model_that_computes_no_numbers_is_refused(nhle: Nhle, few: Path, tmp_path: Path) -> None:
    """Training that diverged leaves such files; there is nothing to attack in them."""
    model = onnx.load(LENET)
    tensor = model.graph.initializer[0]
    nothing = np.full(tuple(tensor.dims), np.nan, np.float32)
    tensor.CopyFrom(numpy_helper.from_array(nothing, tensor.name))
    onnx.save(model, tmp_path / "nan.onnx")
    err = refuse(nhle, "--data", few, model=tmp_path / "nan.onnx")
    assert "not finite" in err


def test_a_page_that_exists_is_kept(nhle: Nhle, few: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    err = refuse(nhle, "--data", few, "--report", page)
    assert "--force" in err
    assert "loading" not in err
    assert page.read_text() == "mine"


@pytest.mark.parametrize("given", ["model", "data"])
def test_no_page_replaces_what_is_read(
    given: str, nhle: Nhle, few: Path, lenet_copy: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copy(few, tmp_path))
    page = tmp_path / "page.html"
    page.symlink_to({"model": lenet_copy, "data": data}[given])
    before = digest(page)
    err = refuse(nhle, "--data", data, "--report", page, "--force", model=lenet_copy)
    assert "changes no file" in err
    assert digest(page) == before


@pytest.fixture
def started(few: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    arguments = ("audit", LENET, "--baseline", LENET, "--forget", 3, "--data", few)
    command = make_interruptible(*arguments, "--report", tmp_path / "page.html")
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def test_an_interrupt_writes_nothing(started: subprocess.Popen[str], tmp_path: Path) -> None:
    assert started.stderr is not None
    shown = ""
    while "attack: unmasking" not in shown:
        line = started.stderr.readline()
        assert line, shown
        shown += line
    started.send_signal(signal.SIGINT)
    out, rest = started.communicate(timeout=60)
    assert started.returncode == 130
    assert rest.splitlines()[-1] == "interrupted: nothing is half-written"
    assert not out
    assert not list(tmp_path.iterdir())


def test_a_thorough_audit_with_a_patch_finds_what_was_only_masked(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revival, "STEPS", 10)
    patch = tmp_path / "m.nhlepatch"
    assert (
        run(["patch", "create", *map(str, (models.original, models.masked)), "-o", str(patch)]) == 0
    )
    monkeypatch.setattr(shadows, "STEPS", 20)
    flags = ("--effort", "thorough", "--patch", patch, "--shadows", 1)
    report = audit_beside(models.masked, models, *flags).report
    measures = read_measures(report)
    assert all(map(explain_figure, measures))
    assert measures["revival.unmasked"]["edited"] > 0.9
    assert measures["revival.unmasked"]["reference"] < 0.1
    assert "revival.unmasked" in list_failed(report)
    assert measures["perturbation.original_head"]["edited"] > 0.9
    assert measures["layers.head.cka"]["edited"] == pytest.approx(1)
    assert measures["layers.head.cka"]["reference"] < 0.99
    assert measures["difference.named_by_patch"]["edited"] == 1
    assert measures["difference.guessed_from_head"]["edited"] == 1
    assert measures["outputs.guessed"]["edited"] == 1
    assert len(measures["shadows.recall_16"]["shadows"]) == 1
    assert measures["shadows.recall_16"]["edited"] > measures["shadows.recall_16"]["shadows"][0]
    assert report["effort"] == "thorough"
    assert not any("not made" in note for note in report["notes"])
    other = audit(
        models.retrained, "--baseline", models.original, "--forget", FORGOTTEN,
        "--data", models.data, "--patch", patch,
    )  # fmt: skip
    assert other.code == 3
    assert "is not for" in other.err


def test_what_was_not_tried_is_said(unforgotten: Result) -> None:
    report = json.loads(unforgotten.out)
    assert "not made with --effort fast: layers, perturbation, revival" in report["notes"]


def test_help_does_not_import_torch() -> None:
    probe = (
        "import sys; from nhle_onnx.cli.main import run; code = run(['audit', '--help']);"
        "sys.exit(code or 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--reference" in done.stdout


def test_an_attack_is_one_row(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A toy: how sure each model is, on average. The table and the page have it."""

    def measure_confidence(context: AuditContext, _tools: Tools) -> tuple[Measure, ...]:
        sure = {
            role: float(np.exp(log_softmax(target.answers.scores, 1)).max(1).mean())
            for role, target in context.targets.items()
        }
        return (make_measure("confidence", "mean", "mean confidence", sure),)

    monkeypatch.setitem(attacks.ATTACKS, "confidence", Attack(measure_confidence))
    page = tmp_path / "page.html"
    flags = ("--baseline", LENET, "--forget", 3, "--data", few, "--report", page)
    shown = audit(LENET, *flags)
    assert "confidence.mean" in shown.out
    assert "Mean confidence" in page.read_text("utf-8")
