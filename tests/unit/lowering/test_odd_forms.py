"""Forms of operators that exporters seldom write: the same as ONNX Runtime, or refused by name."""

from typing import Any

import numpy as np
import pytest
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.hints import word
from support.graphs import keep_used, make_model, make_node
from support.quantized_nets import Net, draw_reals
from support.quantized_runs import lower, make_and_run, open_session, run_both

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGES = (2, 3, 6, 5)


def assert_close(nodes: list[NodeProto], x: np.ndarray, opset: int = 17, **constants: Any) -> None:  # noqa: ANN401
    expected, computed = run_both(Net(nodes, constants, opset), x)
    np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "value",
    [
        {"value_float": 2.5},
        {"value_floats": [2.5, -1.0, 0.5]},
        {"value_int": 2},
        {"value_ints": [2, -1, 3]},
    ],
    ids=str,
)
def test_constants_of_every_form(value: dict[str, Any]) -> None:
    nodes = [
        helper.make_node("Constant", [], ["number"], **value),
        make_node("Cast", "number", "real", to=TensorProto.FLOAT),
        make_node("Mul", "x real"),
    ]
    assert_close(nodes, draw_reals(4, 3))


@pytest.mark.parametrize(
    ("sizes", "place", "keepdims"),
    [(2, 0, 1), (2, -1, 1), ([1, 2], 1, 1), (None, 2, 1), (None, -1, 0)],
    ids=str,
)
def test_parts_of_a_sequence(sizes: int | list[int] | None, place: int, keepdims: int) -> None:
    given = {} if sizes is None else {"sizes": np.array(sizes)}
    nodes = [
        make_node("SplitToSequence", " ".join(["x", *given]), "s", axis=1, keepdims=keepdims),
        make_node("SequenceAt", "s place"),
    ]
    assert_close(nodes, draw_reals(4, 3), place=np.array(place), **given)


@pytest.mark.filterwarnings("error")
def test_a_filled_shape_warns_of_nothing() -> None:
    """What an ONNX tensor is read into cannot be written to, which torch tells the user once."""
    was_always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    value = numpy_helper.from_array(np.array([2.5], np.float32))
    nodes = [
        make_node("Shape", "x", "shape"),
        make_node("ConstantOfShape", "shape", "filled", value=value),
        make_node("Mul", "x filled"),
    ]
    try:
        assert_close(nodes, draw_reals(4, 3))
    finally:
        torch.set_warn_always(was_always)


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
def test_pads_of_all_axes(mode: str) -> None:
    """Torch pads the inner axes alone."""
    pads = np.array([1, 0, 2, 1, 1, 0, 0, 2], np.int64)
    assert_close([make_node("Pad", "x pads", mode=mode)], draw_reals(3, 3, 4, 4), 19, pads=pads)


def test_a_resize_by_nothing_changes_nothing() -> None:
    scales = np.ones(4, np.float32)
    nodes = [make_node("Resize", "x - scales", mode="linear")]
    assert_close(nodes, draw_reals(*IMAGES), scales=scales)


def test_weights_whose_names_differ_in_marks_alone() -> None:
    """They become attributes of a module, whose names have no points."""
    tensors = {name: draw_reals(4, 4) for name in ("w.1", "w_1", "w-1")}
    nodes = [
        make_node("MatMul", "x w.1", "a"), make_node("MatMul", "a w_1", "b"),
        make_node("MatMul", "b w-1"),
    ]  # fmt: skip
    model, expected = make_and_run(Net(nodes, tensors), draw_reals(3, 4))
    lowered = lower(model)
    assert lowered.parameter_of.keys() == tensors.keys()
    for name, parameter in lowered.parameter_of.items():
        np.testing.assert_array_equal(parameter.detach().numpy(), tensors[name])
    assert expected.shape == (3, 4)


def test_bounds_that_are_computed() -> None:
    nodes = [make_node("ReduceMean", "x", "mean", keepdims=0), make_node("Clip", "x mean")]
    assert_close(nodes, draw_reals(4, 6))


@pytest.mark.parametrize("bias", ["", "bias"])
def test_a_scale_that_broadcasts_after_the_normalization(bias: str) -> None:
    constants = {"scale": draw_reals(5), "bias": draw_reals(5)}
    nodes = [make_node("LayerNormalization", f"x scale {bias}".strip(), axis=2)]
    assert_close(nodes, draw_reals(*IMAGES), **constants)


def test_a_root_mean_square_whose_scale_broadcasts() -> None:
    nodes = [make_node("RMSNormalization", "x scale", axis=2)]
    assert_close(nodes, draw_reals(*IMAGES), 23, scale=draw_reals(5))


VOLUMES = (1, 1, 2, 2, 2, 2)  # with an axis more than any operator of torch has
CONSTANTS = {"kernel": np.ones((1, 1, 1, 1, 1, 1)), "mean": np.ones(3)}


@pytest.mark.parametrize(
    ("node", "shape", "opset", "message"),
    [
        (make_node("Conv", "x kernel"), VOLUMES, 17, "over 4 axes"),
        (make_node("ConvTranspose", "x kernel"), VOLUMES, 17, "over 4 axes"),
        (make_node("MaxPool", "x", kernel_shape=[1] * 4), VOLUMES, 17, "over 4 axes"),
        (make_node("LRN", "x", size=2), IMAGES, 17, "an even number"),
        (make_node("Cast", "x", to=TensorProto.STRING), IMAGES, 17, "to STRING"),
        (make_node("Resize", "x"), IMAGES, 17, "without scales and sizes"),
        (make_node("BatchNormalization", "x mean mean mean mean", spatial=0), IMAGES, 8,
         "spatial=0"),
        (make_node("Conv", "x x"), (3, 3, 2, 2), 17, "a computed weight"),
        (make_node("Unsqueeze", "x x"), (4,), 17, "must be constant"),
        (make_node("Pad", "x", pads=[1] * 8, mode="mirror"), IMAGES, 10, "in mode mirror"),
        (helper.make_node("Constant", [], ["y"], value_string="a"), IMAGES, 17, "holds no numbers"),
        (helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
         IMAGES, 17, "with Indices and uneven padding"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_not_supported_is_named(
    node: NodeProto, shape: tuple[int, ...], opset: int, message: str
) -> None:
    """Whether or not ONNX Runtime would run it."""
    tensors = {name: array.astype(np.float32) for name, array in CONSTANTS.items()}
    model = make_model(
        [node], {"x": shape}, {"y": [None] * len(shape)}, keep_used(tensors, [node]), opset
    )
    with pytest.raises(UnsupportedModelError, match=message):
        lower(model)


def test_sparse_weights_are_not_trained() -> None:
    """ONNX Runtime unpacks them; in the file there is nothing that every weight could go into."""
    net = Net([make_node("MatMul", "x weight")], {"weight": np.float32([[0, 2], [0, 0]])})
    model, _ = make_and_run(net, draw_reals(4, 2))
    values = numpy_helper.from_array(np.float32([2]), "weight")
    indices = numpy_helper.from_array(np.int64([1]), "indices")
    del model.graph.initializer[:]
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2, 2]))
    open_session(model)
    with pytest.raises(UnsupportedModelError, match="the tensor weight is sparse") as caught:
        lower(model)
    assert "--method cwm" in word(caught.value.remedy, "flags")
