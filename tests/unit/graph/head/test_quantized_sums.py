"""Two heads in whole numbers whose scores are averaged, as DeiT's are once it is quantized."""

from copy import deepcopy
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, NodeProto

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.head.head import Head
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest, Mask
from nhle_onnx.workflows.masking import Masked, mask_head
from support.graphs import run_model
from support.head_forms import CLASSES, FEATURES, Form, load, node
from support.quantized_forms import FORMS

NAMES = ("qdq", "qdq-per-class", "qgemm", "dynamic", "dynamic-per-class", "qlinear-per-class")
ROUNDED = {name for name in NAMES if not name.startswith("dynamic")}
CORNERS = np.float32([*product((-1e4, 0, 1.5), repeat=FEATURES)])


def average(name: str) -> Form:
    """A form twice, the second time with its classes in the opposite order, and half their sum."""
    form = FORMS[name]()
    nodes, tensors = [], {"half": np.float32(0.5)}
    for prefix, step in (("one", 1), ("two", -1)):
        for each in form.nodes:
            renamed = type(each)()
            renamed.CopyFrom(each)
            renamed.name = f"/{prefix}{each.name}"
            for names in (renamed.input, renamed.output):
                given = [part if part in {"", "x"} else f"{prefix}.{part}" for part in names]
                del names[:]
                names.extend(given)
            nodes.append(renamed)
        for key, values in form.tensors.items():
            turned = np.asarray(values)
            axes = [axis for axis, extent in enumerate(turned.shape) if extent == CLASSES]
            tensors[f"{prefix}.{key}"] = (
                np.flip(turned, axes[0])[...] if step < 0 and axes else turned
            )
    nodes += [node("Add", "one.y two.y", "sum"), node("Mul", "sum half", "y")]
    return replace(form, nodes=nodes, tensors=tensors)


def follow(name: str, last: NodeProto, factor: np.ndarray) -> Form:
    """A form, and a node behind its scores."""
    form = FORMS[name]()
    nodes = deepcopy(list(form.nodes))
    nodes[-1].output[0] = nodes[-1].name = "z"
    tensors = {**form.tensors, "factor": factor}
    return replace(form, nodes=[*nodes, last], tensors=tensors)


def edit(model: OnnxModel, *classes: int, mask: Mask = "auto") -> tuple[ModelProto, Masked]:
    edited = ModelProto()
    edited.CopyFrom(model.proto)
    request = ForgetRequest(forget=classes, num_classes=CLASSES)
    return edited, mask_head(edited, find_head(model), request, UnlearnOptions(mask=mask))


def run(proto: ModelProto) -> np.ndarray:
    """One by one, as a dynamic scale is that of a batch."""
    return np.concatenate([run_model(proto, each[None])[0] for each in CORNERS[::7]])


@pytest.mark.parametrize("name", NAMES)
def test_the_class_never_wins_and_the_others_stay(name: str, tmp_path: Path) -> None:
    model = load(average(name), tmp_path)
    head = find_head(model)
    assert len(head.all_parts) == 2
    before = run(model.proto)
    for classes in ((1,), (2, 3), (0,)):
        edited, masked = edit(model, *classes)
        after = run(edited)
        kept = [index for index in range(CLASSES) if index not in classes]
        np.testing.assert_array_equal(after[:, kept], before[:, kept])
        assert not np.isin(after.argmax(1), classes).any()
        assert any("one step lower" in note for note in masked.notes) == (
            0 in classes and name in ROUNDED
        )
        again = find_head(load(edited, tmp_path))
        restored = Head(edited, again).restore(Head(model.proto, head))
        np.testing.assert_allclose(run(restored), before, atol=1e-5)


@pytest.mark.parametrize("name", ["qdq", "dynamic"])
def test_floor_and_drop(name: str, tmp_path: Path) -> None:
    model = load(average(name), tmp_path)
    assert not (run(edit(model, 2, mask="floor")[0]).argmax(1) == 2).any()
    dropped, before = run(edit(model, 2, mask="drop")[0]), run(model.proto)
    np.testing.assert_array_equal(dropped, np.delete(before, 2, 1))


def test_the_first_class_is_refused_where_the_sum_is_rounded(tmp_path: Path) -> None:
    form = average("qdq")
    nodes = list(form.nodes)
    nodes[-1].output[0] = "mean"
    nodes += [node("QuantizeLinear", "mean one.os one.op", "y")]
    model = load(replace(form, nodes=nodes), tmp_path)
    with pytest.raises(UnsupportedModelError, match="class 0 wins whenever"):
        edit(model, 0)


def test_the_margin_is_one_of_scores_behind_a_factor(tmp_path: Path) -> None:
    """A temperature divides the margin of logits, which grows by as much."""
    form = follow("dynamic", node("Div", "z factor", "y"), np.float32(20))
    model = load(form, tmp_path)
    scores = run(edit(model, 2)[0])
    gaps = (scores - scores[:, [2]])[:, [0, 1, 3]]
    assert gaps.max(0)[gaps.std(0) < 1e-4] == pytest.approx(10, rel=1e-3)


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_a_floor_is_compared_where_scores_are_rounded(factor: float, tmp_path: Path) -> None:
    """Behind a factor, the bias of this form still lies above the lowest score."""
    form = follow("qlinear-add", node("Mul", "z factor", "y"), np.float32(factor))
    with pytest.raises(UnsupportedModelError, match="reaches down to"):
        edit(load(form, tmp_path), 1, mask="floor")
