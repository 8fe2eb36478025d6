"""The paper's tables and figures from a tiny data set, and its recipe on a small network."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch.nn import functional

from architectures import MLP
from nhle_onnx.training.effort import ENDURANCE, Endurance
from nhle_onnx.unlearning.nhle import encode_negative_hot
from nhle_onnx.values.request import ForgetRequest
from studies import evaluation, results
from studies.baselines.negative_hot import mask_head
from studies.paper import paper
from studies.paper_methods import (
    ENCODINGS,
    LOSSES,
    STEP_LIMIT,
    choose_classes,
    finetune,
    measure,
    open_experiment,
    take_task,
)
from studies.paper_tables import NOT_FINITE, format_cell
from studies.paper_text import PAIRS, PUBLISHED, RATES, Pair
from support.idx import write_idx_split

MNIST, CIFAR = Pair("mnist", "mlp"), Pair("cifar10", "resnet34")
PAGES = [
    *(f"paper_table_{number}" for number in range(1, 7)),
    *(f"paper_figure_{number}" for number in (4, 5)),
]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten noisy patterns as MNIST files, and no other data set."""
    root = tmp_path_factory.mktemp("data")
    (root / "mnist").mkdir()
    generator = np.random.default_rng(0)
    patterns = generator.integers(0, 256, (10, 28, 28))
    for part, count in (("train", 300), ("t10k", 100)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = (patterns[labels] + generator.integers(0, 256, (count, 28, 28))) // 2
        write_idx_split(root / "mnist", part, images, labels)
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture
def pages(
    data_root: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, tuple[str, list[dict[str, Any]]]]:
    """Text and rows of every page of a whole run."""
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    few = replace(ENDURANCE["standard"], steps=30)
    monkeypatch.setitem(cast("dict[str, Endurance]", ENDURANCE), "standard", few)
    for key in PAIRS:
        monkeypatch.setitem(PAIRS, key, (MNIST, CIFAR))  # type: ignore[arg-type] # a dict
    arguments = ["--data-root", str(data_root), "--runs", "2", "--cache", str(cache)]
    CliRunner().invoke(paper, arguments, catch_exceptions=False)

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    return {
        name: (
            (tmp_path / f"{name}.md").read_text("utf-8"),
            [
                json.loads(line, parse_constant=refuse)
                for line in (tmp_path / f"{name}.jsonl").read_text("utf-8").splitlines()[1:]
            ],
        )
        for name in PAGES
    }


def test_a_whole_run(
    pages: dict[str, tuple[str, list[dict[str, Any]]]], tmp_path: Path, data_root: Path
) -> None:
    for text, rows in pages.values():
        assert "no DIR/cifar-10-batches-bin/data_batch_1.bin" in text
        assert "no DIR/" in rows[-1]["not measured"]
        assert "What the paper leaves open" in text
        assert str(data_root) not in text
    first, rows = pages["paper_table_1"]
    assert "| **published** | - | not in our text | 0.000 | 0.985 | 0.957 | -0.028 |" in first
    assert [row["method"] for row in rows[:-1]] == [
        "paper-gradient",
        "paper-cross-entropy",
        "ours",
        "ours with anchors",
    ]
    assert all(0 <= row["Acc_R before"] <= 1 for row in rows[:-1])
    third, rows = pages["paper_table_3"]
    assert [row["run"] for row in rows[:-1]] == [0] * 4 + [1] * 4
    assert all(row["forgotten"] == [0, 4] for row in rows[:-1])
    assert " ± " in third
    assert "| 0.892 | 0.877 | -0.014 |" in third
    assert "GKT, published" in pages["paper_table_2"][0]
    assert "NG-IR, published" in pages["paper_table_4"][0]
    assert {row.get("method") for row in pages["paper_table_5"][1]} >= {
        "NHLE, paper-gradient",
        "y(B), paper-cross-entropy",
    }
    sixth = {row.get("method"): row for row in pages["paper_table_6"][1]}
    assert sixth["ours, CWM only"]["Acc_F"] == 0
    assert sixth["CWM only"]["Ratio_D"] == sixth["original"]["Ratio_D"]
    assert sixth["ours, NHLE only"]["Ratio_D"] != sixth["original"]["Ratio_D"]
    assert len(pages["paper_figure_5"][1]) == 2 * (1 + len(RATES)) + 1
    for number in (4, 5):
        assert (tmp_path / f"paper_figure_{number}.svg").read_text("utf-8").startswith("<?xml")


def test_samples_are_taken_in_file_order(data_root: Path, cache: Path) -> None:
    experiment = open_experiment(MNIST, data_root, cache)
    runs = [take_task(experiment, "several", run, anchored=run == 1) for run in (0, 1)]
    assert [task.forget_labels.tolist() for task in runs] == [[0] * 8 + [4] * 8] * 2
    assert [len(task.anchors) for task in runs] == [0, 64]
    single = take_task(experiment, "single", 0, anchored=False)  # class 0 is each tenth image
    torch.testing.assert_close(single.forget[:8], runs[0].forget[:8])
    torch.testing.assert_close(single.forget[8:], runs[1].forget[:8])
    with pytest.raises(ValueError, match="too few samples for run 3"):
        take_task(experiment, "several", 3, anchored=False)


def test_twenty_of_a_hundred_classes_are_drawn_by_the_run() -> None:
    drawn = [choose_classes("several", 100, run) for run in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 20
    assert choose_classes("several", 10, 7) == (0, 4)
    assert choose_classes("single", 100, 7) == (0,)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_recipe_stops_when_the_forget_samples_are_forgotten(
    loss: str, encoding: str, data_root: Path, cache: Path
) -> None:
    task = take_task(open_experiment(MNIST, data_root, cache), "single", 0, anchored=False)
    given = {name: value.clone() for name, value in task.network.state_dict().items()}
    steps = []
    for rate in (1e-3, 0.1):
        network, count = finetune(task, rate, LOSSES[loss], ENCODINGS[encoding])
        steps.append(count)
        is_recognised = network(task.forget).argmax(1) == task.forget_labels
        assert not is_recognised.any() or count == STEP_LIMIT
    assert steps[0] >= steps[1] >= 1
    for name, value in task.network.state_dict().items():
        torch.testing.assert_close(value, given[name], rtol=0, atol=0)


def test_cross_entropy_is_the_papers_for_either_label() -> None:
    logits = torch.randn(6, 10, generator=torch.Generator().manual_seed(0), requires_grad=True)
    classes = torch.zeros(6, dtype=torch.long)
    request = ForgetRequest(forget=(0,), num_classes=10)
    for encode in ENCODINGS.values():
        labels = encode(classes, request)
        expected = -(labels * functional.log_softmax(logits, 1)).sum(1).mean()
        torch.testing.assert_close(LOSSES["paper-cross-entropy"](logits, labels), expected)
    labels = encode_negative_hot(classes, request)
    (gradient,) = torch.autograd.grad(6 * LOSSES["paper-gradient"](logits, labels), logits)
    torch.testing.assert_close(gradient, logits.softmax(1) - labels)  # Eq. 2 and 5


def test_the_mask_leaves_other_rows_alone() -> None:
    network = MLP().eval()
    masked = mask_head(network, (0, 4), "zero")
    images = torch.randn(3, 1, 28, 28)
    before, after = network(images), masked(images)
    kept = [1, 2, 3, 5, 6, 7, 8, 9]
    torch.testing.assert_close(after[:, kept], before[:, kept])
    assert not after[:, [0, 4]].any()
    assert before[:, [0, 4]].all()


def test_a_network_that_is_not_finite_recognises_nothing() -> None:
    network = MLP().eval()
    network.classifier.weight.data.fill_(torch.nan)
    test = evaluation.TestData(torch.randn(20, 1, 28, 28), torch.arange(20) % 10)
    assert measure(network, test, (0,)).accuracy == (0, 0)


def test_cells_show_the_spread_and_what_was_lost() -> None:
    rows = [{"Acc_F": 0.25, "D_inter": None}, {"Acc_F": 0.75, "D_inter": None}]
    assert format_cell("Acc_F", rows) == "0.5000 ± 0.3536"
    assert format_cell("Acc_F", rows[:1]) == "0.2500"
    assert format_cell("D_inter", rows) == NOT_FINITE
    assert format_cell("D_inter", [*rows, {"D_inter": 2.0}]) == f"2 (2 {NOT_FINITE})"


def test_published_figures_agree_with_each_other() -> None:
    for given in PUBLISHED.values():
        if given.delta is not None and given.acc_r is not None and given.acc_r_before is not None:
            assert given.acc_r - given.acc_r_before == pytest.approx(given.delta, abs=1.1e-3)
