"""Tables in the terminal stay short for a thousand classes."""

import pytest

from nhle_onnx.cli.show import make_accuracy_table, show_table
from nhle_onnx.values.report import Accuracy

COUNT = 1000
LABELS = tuple(f"label {index}" for index in range(COUNT))


def make_accuracy(changed: dict[int, float]) -> Accuracy:
    per_class = tuple(changed.get(index, 0.5) for index in range(COUNT))
    return Accuracy(acc_f=0.5, acc_r=0.5, per_class=per_class)


def test_those_that_changed_most_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    columns = {"before": make_accuracy({}), "after": make_accuracy({7: 0.4, 900: 0.0})}
    show_table(make_accuracy_table(LABELS, (900,), columns))
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert "7 label 7" in shown
    assert "900 label 900 (forgotten)" in shown
    assert "… and 976 more" in shown
    assert len(lines) == 1 + 24 + 1 + 2
