"""Answers, whom they count for, and which sample is named where there is none."""

from pathlib import Path

import numpy as np
import pytest

from nhle_onnx.errors import NotFiniteError
from nhle_onnx.values.counts import ClassCounts
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.verification.accuracy import (
    claim_forgotten,
    count_hits,
    measure_accuracy,
    predict_classes,
    subtract,
)
from nhle_onnx.verification.finite import check_finite, name_model

REQUEST = ForgetRequest(forget=(1, 3), num_classes=4)


def test_a_tie_goes_to_the_class_that_is_claimed() -> None:
    outputs = np.float32([[2, 2, 0, 0], [2, 2, 0, 0], [1, 1, 1, 1], [0, 1, 2, 1]])
    claimed = np.array([1, -1, 1, 1])
    assert predict_classes(outputs).tolist() == [0, 0, 0, 2]
    assert predict_classes(outputs, claimed=claimed).tolist() == [1, 0, 0, 2]


def test_only_forgotten_classes_are_claimed() -> None:
    assert claim_forgotten(np.array([0, 1, 2, 3]), REQUEST).tolist() == [-1, 1, -1, 3]


@pytest.mark.parametrize(("first", "named"), [(0, 1), (10, 11)])
def test_a_sample_without_an_answer_is_named(first: int, named: int) -> None:
    outputs = np.float32([[1, 0], [np.nan, 0]])
    message = f"its best score for sample {named} is nan: no class wins"
    with pytest.raises(NotFiniteError, match=message):
        predict_classes(outputs, first=first)
    if not first:
        with pytest.raises(NotFiniteError, match=message):
            predict_classes(outputs)


def test_accuracies() -> None:
    found = measure_accuracy(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), REQUEST)
    assert (found.acc_f, found.acc_r) == (0.5, 0.5)
    assert found.per_class == (0.5, 0.5, None, None)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_is_named(bad: float) -> None:
    values = np.zeros((3, 2, 2), np.float32)
    check_finite(values, "features", "do it")
    check_finite(values[:0], "features", "do it")
    values[1, 0, 1] = bad
    message = "^m.onnx: features: sample 1 of 3 holds numbers that are not finite$"
    with pytest.raises(NotFiniteError, match=message), name_model(Path("m.onnx")):
        check_finite(values, "features", "do it")


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [(0.25, 1.0, -0.75), (0.0, 0.5, -0.5), (0.5, 0.0, 0.5),
     (None, 0.5, None), (0.5, None, None), (None, None, None)],
)  # fmt: skip
def test_a_difference_takes_both(
    after: float | None, before: float | None, expected: float | None
) -> None:
    assert subtract(after, before) == expected


def test_an_answer_of_any_shape_is_its_scores_in_order() -> None:
    outputs = np.zeros((3, 4, 1, 1), np.float32)
    outputs[[0, 1, 2], [3, 0, 2]] = 1
    assert predict_classes(outputs).tolist() == [3, 0, 2]


def test_a_model_without_an_answer_is_no_model_that_forgot() -> None:
    with pytest.raises(NotFiniteError) as caught:
        predict_classes(np.float32([[1, 0], [np.inf, 0]]), first=5)
    assert caught.value.reason == "its best score for sample 6 is inf: no class wins"
    assert caught.value.remedy == (
        "Check the model's weights and the preprocessing: nothing can be said of such answers."
    )


def test_the_remedy_is_kept_beside_the_name_of_the_model() -> None:
    with pytest.raises(NotFiniteError) as caught, name_model(Path("m.onnx")):
        check_finite(np.float32([[np.nan]]), "features", "Do it.")
    assert caught.value.remedy == "Do it."


def test_copies_are_counted_by_class() -> None:
    classes, copies = np.array([0, 1, 1, 3]), np.array([1, 1])
    found = count_hits(np.array([0, 1, 0, 3]), classes, 5, copies)
    assert found == ClassCounts(
        correct=(1, 1, 0, 1, 0), total=(1, 2, 0, 1, 0), copies=(0, 2, 0, 0, 0)
    )
    assert count_hits(classes, classes, 5).copies == (0,) * 5
