"""Rows taken out of a head: the other scores stay as they are, by ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.drop import drop_classes
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.hints import word
from support.graphs import run_model
from support.head_forms import draw_images
from support.head_forms import load as load_form
from support.quantized_forms import FORMS
from support.tail_forms import CLASSES, TAILS, Tail, behind, load, n, whole

DROPPED = (
    "temperature", "temperature before softmax", "log of softmax", "log of sigmoid", "softplus",
    "tanh", "leaky relu", "relu6", "clip from below", "log-softmax in parts", "transposed twice",
    "unsqueezed", "cosine", "cosine by LpNormalization", "a cast before the bias",
    "mean of two heads", "sum of three heads",
    "a window as long as its map", "einsum", "the weight on the left",
    "the weight on the left of a Gemm", "evidence over its sum",
)  # fmt: skip
REFUSED = {
    "an offset for each class": (TAILS["an offset"](), "Add /y needs all 5 classes"),
    "batch norm": (TAILS["batch norm"](), "BatchNormalization /y needs all 5 classes"),
    "gathered": (TAILS["gathered"](), "choose among its classes"),
    "reshaped": (TAILS["reshaped, then shifted"](), "Reshape /u needs all 5 classes"),
    "reshaped at the end": (
        TAILS["a window as large as its map"](), "Reshape /y needs all 5 classes"
    ),
    "masked": (TAILS["a class masked by 0 behind softmax"](), "choose among its classes"),
    "a bias for others too": (
        whole(
            n("Gemm", "x w b", "z", transB=1), n("ReduceSum", "b start", "s", keepdims=0),
            n("Add", "z s", "u"), n("Mul", "u t", "y"),
        )(),
        "has no classifier head",
    ),
}  # fmt: skip


def drop(tail: Tail, forget: tuple[int, ...], folder: Path) -> tuple[ModelProto, ModelProto]:
    model = load(tail.build(), folder)
    smaller = ModelProto()
    smaller.CopyFrom(model.proto)
    drop_classes(smaller, find_head(model), forget)
    return model.proto, smaller


@pytest.mark.parametrize("name", DROPPED)
@pytest.mark.parametrize("forget", [(0,), (1, 4)])
def test_the_others_keep_their_scores(name: str, forget: tuple[int, ...], tmp_path: Path) -> None:
    tail = TAILS[name]()
    before, after = drop(tail, forget, tmp_path)
    kept = [index for index in range(tail.classes) if index not in forget]
    was, now = (run_model(each, tail.draw())[0] for each in (before, after))
    was, now = (each.reshape(len(each), -1) for each in (was, now))
    assert now.shape[1] == len(kept)
    assert (was[:, kept].argmax(1) == now.argmax(1)).mean() > 0.98
    is_shared_out = any(each.op_type in {"Softmax", "ReduceSum"} for each in tail.nodes)
    if not is_shared_out and "log-softmax" not in name:
        np.testing.assert_allclose(now, was[:, kept], rtol=1e-5, atol=1e-5)
    head = find_head(load(after, tmp_path))
    assert head.num_classes == len(kept)


@pytest.mark.parametrize("name", FORMS)
def test_heads_of_every_format_are_cut(name: str, tmp_path: Path) -> None:
    """With their scales and zero points; what an output is rounded to stays."""
    form = FORMS[name]()
    model = load_form(form, tmp_path)
    smaller = ModelProto()
    smaller.CopyFrom(model.proto)
    drop_classes(smaller, find_head(model), (1,))
    was, now = (run_model(each, draw_images(form))[0] for each in (model.proto, smaller))
    was, now = (each.reshape(len(each), -1) for each in (was, now))
    assert now.shape[1] == was.shape[1] - 1
    assert (np.delete(was, 1, 1).argmax(1) == now.argmax(1)).all()
    if form.nodes[-1].op_type not in {"Softmax", "LogSoftmax", "Div"} and "softmax" not in name:
        np.testing.assert_allclose(now, np.delete(was, 1, 1), rtol=1e-5, atol=form.step + 1e-6)


@pytest.mark.parametrize("case", REFUSED)
def test_what_needs_the_class_is_named(case: str, tmp_path: Path) -> None:
    tail, reason = REFUSED[case]
    with pytest.raises(UnsupportedModelError) as caught:
        drop(tail, (1,), tmp_path)
    assert reason in caught.value.reason
    if reason != "has no classifier head":
        assert "--mask convex" in word(caught.value.remedy, "flags")


def test_what_is_declared_behind_the_head_is_not_any_more(tmp_path: Path) -> None:
    """As torch's exporter declares every tensor; the others stay declared."""
    proto = TAILS["temperature before softmax"]().build()
    for name, extent in (("z", 5), ("u", 5), ("x2", 6)):
        proto.graph.value_info.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", extent])
        )
    model = load(proto, tmp_path)
    drop_classes(model.proto, find_head(model), (1,))
    onnx.checker.check_model(model.proto, full_check=True)
    assert [value.name for value in model.proto.graph.value_info] == ["x2"]


def test_a_model_too_large_to_check_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protobuf's checker takes at most 2 GB."""
    model = load(TAILS["temperature"]().build(), tmp_path)
    head = find_head(model)
    monkeypatch.setattr("nhle_onnx.graph.head.drop.MAX_PROTO_BYTES", 10)
    monkeypatch.setattr(onnx.checker, "check_model", lambda *_, **__: pytest.fail("was checked"))
    drop_classes(model.proto, head, (1,))
    assert run_model(model.proto, TAILS["temperature"]().draw())[0].shape[1] == CLASSES - 1


def test_a_choice_is_left(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="a single class would be left"):
        drop(TAILS["temperature"](), (0, 1, 2, 3), tmp_path)


def test_more_of_the_best_than_are_left(tmp_path: Path) -> None:
    nodes = (n("Gemm", "x w b", "y", transB=1), helper.make_node("TopK", ["y", "k"], ["v", "i"]))
    tail = Tail(nodes=nodes)
    proto = tail.build()
    for count, is_refused in ((4, False), (5, True)):
        del proto.graph.initializer[2:]
        proto.graph.initializer.append(numpy_helper.from_array(np.int64([count]), "k"))
        model = load(proto, tmp_path)
        if is_refused:
            with pytest.raises(UnsupportedModelError, match="TopK that computes v, i needs all 5"):
                drop_classes(model.proto, find_head(model), (1,))
        else:
            drop_classes(model.proto, find_head(model), (1,))


def test_a_tensor_that_another_layer_reads_is_not_cut(tmp_path: Path) -> None:
    proto = behind(n("Softmax", "z", "y"))().build()
    proto.graph.node.append(n("Exp", "b", "other"))
    proto.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [5]))
    model = load(proto, tmp_path)
    with pytest.raises(UnsupportedModelError, match="b is read by Exp /other as well"):
        drop_classes(model.proto, find_head(model), (1,))


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("{0: 'a', 1: 'b', 2: 'c', 3: 'd', 4: 'e'}", "{0: 'a', 1: 'c', 2: 'd', 3: 'e'}"),
        ("['a', 'b', 'c', 'd', 'e']", "['a', 'c', 'd', 'e']"),
        ("{0: 'a'}", "{0: 'a'}"),
        ("a, b", "a, b"),
    ],
)
def test_names_in_the_metadata_follow(written: str, left: str, tmp_path: Path) -> None:
    proto = TAILS["temperature"]().build()
    onnx.helper.set_model_props(proto, {"names": written, "author": written})
    model = load(proto, tmp_path)
    drop_classes(model.proto, find_head(model), (1,))
    assert {entry.key: entry.value for entry in model.proto.metadata_props} == {
        "names": left, "author": written,
    }  # fmt: skip
