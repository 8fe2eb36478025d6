"""The zoo of strangers' networks: its halves are alike, its data repeats, and it resumes."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from click.testing import CliRunner

from nhle_onnx.values.report import TrainingStep
from nhle_onnx.values.verdict import Check, conclude
from studies import results
from studies.datasets import Split
from studies.strangers import build, command, courses
from studies.strangers.blocks import ACTIVATIONS, NORMS
from studies.strangers.build import get_shape, is_built, locate
from studies.strangers.families import FAMILIES
from studies.strangers.families import build as make_network
from studies.strangers.glyphs import Look, find_faces, list_texts, render
from studies.strangers.page import describe, keeps_limits
from studies.strangers.pictures import DATA, Data, compose_one, thin_out
from studies.strangers.recipes import Recipe, Samples, scale_rate, spoil_labels, train_network
from studies.strangers.run import Cell, Draw, Pool, draw_samples, list_cells, name_verdict
from studies.strangers.table import STRANGERS, Exporter, Stranger
from studies.tables import Row

FACES = find_faces(Path("/usr/share/fonts"))
needs_faces = pytest.mark.skipif(not FACES, reason="no typefaces on this machine")


@pytest.mark.parametrize(
    ("trait", "slack"),
    [
        (lambda stranger: stranger.network.family, 1),
        (lambda stranger: stranger.data, 2),
        (lambda stranger: DATA[stranger.data].classes, 2),
        (lambda stranger: stranger.network.norm, 1),
        (lambda stranger: stranger.exporter, 3),
        (lambda stranger: stranger.recipe.optimizer, 3),
        (lambda stranger: stranger.recipe.teacher is not None, 0),
        (lambda stranger: stranger.recipe.pretrained_on is not None, 0),
    ],
    ids=["family", "data", "classes", "norm", "exporter", "optimizer", "teacher", "transfer"],
)
def test_halves_are_alike(trait: Callable[[Stranger], object], slack: int) -> None:
    counts = [
        Counter(trait(stranger) for stranger in STRANGERS if stranger.half == half)
        for half in ("development", "final")
    ]
    assert all(
        abs(counts[0][value] - counts[1][value]) <= slack for value in {*counts[0], *counts[1]}
    )


def test_zoo_is_large_and_shows_what_it_promises() -> None:
    names = [stranger.name for stranger in STRANGERS]
    assert len(set(names)) == len(names) >= 80
    networks = [stranger.network for stranger in STRANGERS]
    assert {network.family for network in networks} == FAMILIES.keys()
    assert {network.activation for network in networks} == ACTIVATIONS.keys()
    assert {network.norm for network in networks} == NORMS.keys()
    assert {DATA[stranger.data].classes for stranger in STRANGERS} >= {2, 10, 26, 47, 100, 1000}
    assert {stranger.data for stranger in STRANGERS} == DATA.keys()


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda stranger: stranger.name)
def test_each_network_takes_its_data(stranger: Stranger) -> None:
    shape = get_shape(stranger.data)
    network = make_network(stranger.network, shape).eval()
    inputs = torch.zeros(2, shape.channels, shape.extent, shape.extent)
    with torch.no_grad():
        assert network(inputs).shape == (2, shape.classes)


@needs_faces
def test_same_seed_renders_same_glyphs() -> None:
    texts = list_texts(26, FACES)
    look = Look(16, textured=True)
    first, again, other = (render(texts, FACES, look, 30, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)
    assert first.images.shape == (30, 16, 16, 3)
    assert first.labels[:3].tolist() == [0, 1, 2]


@needs_faces
def test_every_class_has_a_text_of_its_own() -> None:
    for count in (10, 26, 36, 47, 100):
        texts = list_texts(count, FACES)
        assert len(texts) == len(set(texts)) == count


def test_composites_repeat_and_hold_their_first_item() -> None:
    items = np.full((2, 28, 28), 255, np.uint8)
    first, again = (compose_one(items, 32, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, again)
    without = compose_one(items[:1] * 0, 32, np.random.default_rng(3))
    assert not np.array_equal(first, without)


def test_last_class_is_as_rare_as_asked() -> None:
    labels = np.arange(4000) % 4
    thin = thin_out(Split(np.zeros((4000, 1, 1, 1), np.uint8), labels), 0.1, 4)
    counts = np.bincount(thin.labels)
    assert counts.tolist() == [1000, 464, 215, 100]
    assert len(thin.images) == counts.sum()


def test_share_of_labels_is_spoiled() -> None:
    labels = torch.zeros(10_000, dtype=torch.long)
    labels[0] = 9
    spoiled = spoil_labels(labels, 0.3, torch.Generator().manual_seed(0))
    assert 0.25 < (spoiled != labels).float().mean() < 0.29  # a tenth of what is drawn is the old


def test_one_cycle_rises_and_falls() -> None:
    recipe = Recipe(schedule="one-cycle", steps=100)
    rates = [scale_rate(recipe, step) for step in range(100)]
    assert max(rates) == rates[10] == pytest.approx(1, abs=0.01)
    assert rates[0] < 0.01 > rates[-1] - 0.011


@pytest.mark.parametrize("trick", ["plain", "mixup", "teacher", "pretrained"])
def test_recipes_learn(trick: str) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % 2
    inputs = torch.randn(200, 1, 8, 8, generator=generator) + labels[:, None, None, None]
    train = Samples(inputs, labels)
    stranger = next(stranger for stranger in STRANGERS if stranger.name == "tiny-pictures")
    recipe = Recipe(
        steps=60,
        mixup=trick == "mixup",
        teacher=stranger.network if trick == "teacher" else None,
        pretrained_on="mnist-8" if trick == "pretrained" else None,
    )
    first = Samples(inputs, torch.arange(200) % 3) if trick == "pretrained" else None
    shape = get_shape("mnist-8")._replace(classes=2)
    network = train_network(stranger.network, recipe, shape, train, first)
    assert float((network(inputs).argmax(1) == labels).float().mean()) > 0.95


@pytest.mark.parametrize(
    ("exporter", "keeps_norms"), [("folded", False), ("kept", True), ("dynamo", False)]
)
def test_exports_answer_as_the_network(
    tmp_path: Path, exporter: Exporter, *, keeps_norms: bool
) -> None:
    stranger = next(stranger for stranger in STRANGERS if stranger.name == "newer-exporter")
    network = make_network(stranger.network, get_shape(stranger.data)).eval()
    inputs = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "model.onnx"
    build.export(network, inputs[:2], exporter, path)
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert ("BatchNormalization" in kinds) == keeps_norms
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})
    with torch.no_grad():
        assert np.allclose(logits, network(inputs).numpy(), atol=1e-4)


def test_cells_cover_three_classes_in_three_draws() -> None:
    assert [cell.forgotten for cell in list_cells(10)[:3]] == [0, 4, 8]
    assert len(list_cells(1000)) == 9
    assert {cell.forgotten for cell in list_cells(2)} == {0, 1}


def test_samples_differ_by_draw_and_anchors_hold_no_forgotten_class() -> None:
    labels = np.arange(2000) % 10
    pool = Pool(np.arange(2000, dtype=np.float32)[:, None], labels)
    first, again, other = (draw_samples(pool, Draw((4,), seed)) for seed in (0, 0, 1))
    assert np.array_equal(first.inputs, again.inputs)
    assert not np.array_equal(first.inputs, other.inputs)
    assert (first.labels[:16] == 4).all()
    assert len(first.labels) == 160
    assert 4 not in first.labels[16:]


def test_build_resumes_until_the_row_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger, other = STRANGERS[0], STRANGERS[2]
    files = locate(stranger, tmp_path)
    files.folder.mkdir(parents=True)
    files.record.write_text(json.dumps({"stranger": build.describe(stranger)}), "utf-8")
    assert is_built(stranger, tmp_path)
    assert not is_built(other, tmp_path)
    monkeypatch.setitem(DATA, stranger.data, Data(origin="mnist", train=1))
    assert not is_built(stranger, tmp_path)


def test_rows_measured_before_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Cell] = []

    def measure(stranger: Stranger, cell: Cell, _cache: Path) -> Row:
        measured.append(cell)
        return make_row(network=stranger.name, forget=cell.forgotten, seed=cell.seed)

    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(command, "measure_cell", measure)
    monkeypatch.setattr(command, "is_built", lambda *_: True)
    arguments = ["run", "--only", "mlp", "--cache", str(tmp_path)]
    for _ in range(2):
        found = CliRunner().invoke(command.strangers, arguments)
        assert found.exit_code == 0, found.output
    assert measured == list_cells(10)
    assert "Not measured yet." in (tmp_path / "strangers.md").read_text("utf-8")


def test_every_network_has_its_turn_before_any_has_its_second() -> None:
    chosen = [stranger for stranger in STRANGERS if stranger.name in {"mlp", "parity"}]
    planned = [(each.name, *cell) for each, cell in command.plan_cells(chosen, draws=1)]
    assert planned == [
        ("mlp", 0, 0), ("parity", 0, 0), ("mlp", 4, 0), ("parity", 1, 0), ("mlp", 8, 0)
    ]  # fmt: skip
    assert len(command.plan_cells(chosen, draws=3)) == 9 + 6


def test_networks_that_were_not_measured_are_named() -> None:
    text = describe([make_row(network="mlp"), make_row(network="mlp-decay")])
    for half in ("development", "final"):
        names = [each.name for each in STRANGERS if each.half == half]
        left = ", ".join(name for name in names if name not in {"mlp", "mlp-decay"})
        assert f"): {left}." in text


def test_courses_are_drawn_as_the_report_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [
        TrainingStep(
            step=step, forget_loss=1.0, retain_loss=0.0, alignment_loss=0.0, forget_margin=0.0,
            win_margin=-float(step), drift=0.01 * step, retain_weight=20.0, step_size=0.001,
        )
        for step in range(9)
    ]  # fmt: skip
    report: Any = SimpleNamespace(
        trajectory=points, method={"sure_margin": 1.25, "drift_bound": 0.025}
    )
    traced = courses.trace(report)
    assert traced["surest sample's margin"] == ([-float(step) for step in range(9)], -1.25, False)
    assert traced["drift"].limit == 0.025
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(courses, "unlearn_cell", lambda *_: report)
    courses.draw(tmp_path)
    picture = (tmp_path / courses.PICTURE).read_text("utf-8")
    assert f"]({courses.PICTURE})" in describe([])
    assert all(name in picture for name, _ in courses.SUBJECTS)


def test_run_names_what_is_not_built(tmp_path: Path) -> None:
    found = CliRunner().invoke(
        command.strangers, ["run", "--only", "mlp", "--cache", str(tmp_path)]
    )
    assert found.exit_code == 2
    assert "not built yet" in found.output


def test_final_half_is_not_measured_afresh(tmp_path: Path) -> None:
    found = CliRunner().invoke(
        command.strangers, ["run", "--half", "final", "--fresh", "--cache", str(tmp_path)]
    )
    assert found.exit_code == 2
    assert "measured once" in found.output


@pytest.mark.parametrize(
    ("value", "gap", "verdict"),
    [
        (0.0, "", "PASSED"),
        (0.0, "few images", "NOT JUDGED: acc_f, acc_r"),
        (0.9, "few images", "FAILED: acc_f"),
    ],
)
def test_verdict_names_the_gates_that_it_comes_from(value: float, gap: str, verdict: str) -> None:
    checks = (
        Check(name="acc_f", value=value, limit=0.1, better="lower", gap=gap),
        Check(name="acc_r", value=0.0, limit=0.1, better="lower", gap=gap),
    )
    report: Any = SimpleNamespace(checks=checks, verdict=conclude(checks))
    assert name_verdict(report) == verdict


def make_row(**figures: object) -> Row:
    row: Row = {"network": "mlp", "forget": 0, "seed": 0, "Acc_F before": 1.0, "Acc_F": 0.0}
    row |= {"unmasked": 0.0, "Acc_R before": 0.9, "ΔAcc_R": 0.0, "steps": 100}
    return row | {"stop": "settled", "CPU s": 1.0, "verdict": "PASSED"} | figures


@pytest.mark.parametrize(
    "figures", [{"unmasked": 0.03}, {"ΔAcc_R": -0.03}, {"unmasked": None, "ΔAcc_R": None}], ids=str
)
def test_missed_cell_is_named_with_the_verdict(figures: dict[str, float | None]) -> None:
    assert keeps_limits(make_row())
    row = make_row(**figures, verdict="FAILED: acc_f")
    assert not keeps_limits(row)
    text = describe([make_row(), row])
    assert "1 of 2 cells miss a limit of this page; the tool passed 0 of them" in text
    assert "FAILED: acc_f" in text
    assert "50.0 %" in text
