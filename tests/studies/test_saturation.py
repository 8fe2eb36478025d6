"""The study of sums that saturate: what it measures and what it says."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from studies import saturation
from studies.__main__ import main
from studies.saturation import count_moved, make_row
from studies.saturation_probe import measure_file
from support.shipped import LENET


def test_a_probe_counts_right_answers(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(60, 1, 28, 28)).astype(np.float32)
    path = tmp_path / "model.onnx"
    shutil.copy(LENET, path)
    shares = []
    for index in range(10):
        np.savez(path.with_suffix(".npz"), x=images, y=np.full(60, index))
        shares.append(measure_file(path, "exact"))
    assert sum(shares) == pytest.approx(1)


def test_models_that_move_are_counted() -> None:
    same = {"exact": 0.9, "default": 0.9}
    rows = [make_row("lenet5 a", same, same), make_row("lenet5 b", same, {**same, "default": 0.8})]
    text = count_moved(rows)
    assert text.startswith("1 of 2 models have another accuracy")
    assert "2 of 2 have the same on both" in text
    assert "This machine saturates" not in text
    rows = [rows[0], make_row("lenet5 b", {**same, "default": 0.7}, {**same, "default": 0.8})]
    assert "This machine saturates as well; by default kernels, 1 of 2 have" in count_moved(rows)


def test_without_qemu_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saturation.shutil, "which", lambda _: None)
    result = CliRunner().invoke(main, ["saturation"])
    assert result.exit_code == 1
    assert "apt-get install qemu-user" in result.output
