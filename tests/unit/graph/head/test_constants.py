"""Constants that a graph computes: they are those that ONNX Runtime computes, or unknown."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from nhle_onnx.graph.head import constants
from nhle_onnx.graph.head.constants import is_constant, read_constant, read_integers
from support.graphs import Array, make_model, make_node, run_model

TENSORS: Mapping[str, Array] = {
    "a": np.array([[1.5, -2.5, 3.25], [4.0, 0.5, -6.0]], np.float32),
    "b": np.array([[0.5, 2.0, -1.5]], np.float32),
    "i": np.array([7, -7, 9], np.int64), "j": np.array([2, 2, -4], np.int64),
    "t": np.array([True, False, True]), "e2": np.array([2, 3], np.int64),
    "e3": np.array([3, 2], np.int64), "one": np.array([1], np.int64),
    "two": np.array(2, np.int64), "low": np.array(-1, np.float32),
    "high": np.array(2, np.float32), "last": np.array([-1, 0], np.int64),
    "long": np.arange(6, dtype=np.int64).reshape(1, 2, 3), "a0": np.array([0], np.int64),
    "c": np.array([0.25, 1.75, 4.5], np.float32),
}  # fmt: skip
NINE = numpy_helper.from_array(np.array([9], np.int64))
CASES: dict[str, tuple[NodeProto, ...]] = {
    **{
        f"{op} of two": (make_node(op, f"{one} {other}"),)
        for op, one, other in (
            ("Add", "a", "b"), ("Sub", "a", "b"), ("Mul", "a", "b"), ("Div", "a", "b"),
            ("Max", "a", "b"), ("Min", "a", "b"), ("Equal", "i", "j"), ("Greater", "a", "b"),
            ("Less", "a", "b"), ("Mod", "i", "j"), ("Div", "i", "j"), ("Expand", "one", "e2"),
            ("Reshape", "a", "e3"), ("Tile", "i", "one"),
        )
    },
    **{
        f"{op} of one": (make_node(op, "c"),)
        for op in ("Ceil", "Exp", "Floor", "Log", "Neg", "Reciprocal", "Softplus", "Sqrt")
    },
    "Not": (make_node("Not", "t"),),
    "Where": (make_node("Where", "t a b"),),
    "Clip": (make_node("Clip", "a low high"),),
    "Clip at one end": (make_node("Clip", "a low"),),
    "Clip at no end": (make_node("Clip", "a"),),
    "Squeeze": (make_node("Squeeze", "b"),),
    "Squeeze an axis": (make_node("Squeeze", "long a0"),),
    "Unsqueeze": (make_node("Unsqueeze", "a one"),),
    "through others": (
        make_node("Identity", "i", "p"), make_node("Cast", "p", "q", to=TensorProto.INT64),
        make_node("Add", "q j"),
    ),
    "Concat": (make_node("Concat", "a b", axis=0),),
    "Concat along the last": (make_node("Concat", "a a", axis=-1),),
    "ConstantOfShape": (make_node("ConstantOfShape", "e2"),),
    "ConstantOfShape of a number": (make_node("ConstantOfShape", "e2", value=NINE),),
    "Tile along both": (make_node("Tile", "a e2"),),
    "Gather": (make_node("Gather", "a last"),),
    "Gather along an axis": (make_node("Gather", "a last", axis=1),),
    "Gather one": (make_node("Gather", "i two"),),
    "Shape": (make_node("Shape", "a"),),
    "Shape from": (make_node("Shape", "long", start=1),),
    "Shape to": (make_node("Shape", "long", start=-3, end=-1),),
    "an extent": (make_node("Shape", "long", "p"), make_node("Gather", "p two")),
    "two extents": (make_node("Shape", "long", "p"), make_node("Gather", "p last")),
}  # fmt: skip


def read(*nodes: NodeProto, opset: int = 20) -> Array | None:
    """The constant `y` of a graph, of which `x` is an input [n, 3] and `k` one of shape [1, 3]."""
    inputs = {"x": ["n", 3], "k": [1, 3]}
    model = make_model(nodes, inputs, {"y": None}, TENSORS, opset)
    return read_constant(gs.import_onnx(model).outputs[0])


@pytest.mark.parametrize("name", CASES)
def test_a_constant_is_what_is_computed(name: str) -> None:
    nodes = CASES[name]
    (expected,) = run_model(make_model(nodes, {}, {"y": None}, TENSORS, opset=20))
    found = read(*nodes)
    assert found is not None
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.shape == expected.shape
    assert found.dtype.kind == expected.dtype.kind


@pytest.mark.parametrize(
    "nodes",
    [
        [make_node("Add", "a x")], [make_node("Add", "x a")], [make_node("Sin", "a")],
        [make_node("Identity", "x")], [make_node("Concat", "a x", axis=0)],
        [make_node("Gather", "a x")], [make_node("Gather", "x one")], [make_node("Shape", "x")],
        [make_node("Tile", "x one")], [make_node("Tile", "a x")],
        [make_node("Shape", "x", "p"), make_node("Gather", "p last")],
        [make_node("Reshape", "a e2x")], [make_node("Concat", "a i", axis=0)],
        [make_node("Gather", "a two")], [make_node("Shape", "k", start=5)],
        [make_node("Add", "a last")], [make_node("Expand", "j e3")],
    ],
    ids=lambda nodes: " ".join(f"{node.op_type} {' '.join(node.input)}" for node in nodes),
)  # fmt: skip
def test_what_is_no_constant_or_no_valid_node(nodes: list[NodeProto]) -> None:
    assert read(*nodes) is None


def test_some_extents_of_an_open_shape_are_known() -> None:
    found = read(make_node("Shape", "x", "p"), make_node("Gather", "p one"))
    np.testing.assert_array_equal(found, [3])
    np.testing.assert_array_equal(read(make_node("Shape", "k")), [1, 3])


def test_an_open_shape_broadcasts() -> None:
    """One number stands for any number of it; so do floats that are repeated."""
    shape = make_node("Shape", "x", "p")
    found = read(shape, make_node("ConstantOfShape", "p", value=NINE))
    np.testing.assert_array_equal(found, [9])
    np.testing.assert_array_equal(read(shape, make_node("Expand", "one p")), [1])
    np.testing.assert_array_equal(read(make_node("Expand", "low e2")), -1)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"value": NINE}, [9]), ({"value_float": 1.5}, 1.5), ({"value_int": 3}, 3),
        ({"value_floats": [1.5, 2.0]}, [1.5, 2.0]), ({"value_ints": [3, 4]}, [3, 4]),
        ({"value_string": "a"}, None),
    ],
)  # fmt: skip
def test_constants_as_nodes(attributes: dict[str, object], expected: object) -> None:
    found = read(helper.make_node("Constant", [], ["y"], **attributes))
    assert (found is None) is (expected is None)
    if expected is not None:
        np.testing.assert_array_equal(found, expected)


def test_axes_of_older_operators() -> None:
    found = read(make_node("Squeeze", "long", axes=[0]), opset=11)
    np.testing.assert_array_equal(found, TENSORS["long"][0])
    found = read(make_node("Unsqueeze", "i", axes=[0, 2]), opset=11)
    np.testing.assert_array_equal(found, TENSORS["i"][None, :, None])
    np.testing.assert_array_equal(read(make_node("Dropout", "i"), opset=11), TENSORS["i"])


def chain(count: int) -> list[NodeProto]:
    names = ["i", *(f"v{index}" for index in range(count - 1)), "y"]
    return [make_node("Identity", *pair) for pair in pairwise(names)]


def test_a_long_way_to_a_constant_is_not_gone() -> None:
    assert read(*chain(17)) is not None
    assert read(*chain(18)) is None


@pytest.mark.parametrize(
    ("node", "size"),
    [
        (make_node("Identity", "a"), 6), (make_node("Tile", "a e2"), 36),
        (helper.make_node("Constant", [], ["y"], value=NINE), 1),
    ],
)  # fmt: skip
def test_what_is_large_is_a_weight(
    node: NodeProto, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "_LARGEST", size)
    assert read(node) is not None
    monkeypatch.setattr(constants, "_LARGEST", size - 1)
    assert read(node) is None


def test_what_would_become_large_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, size in ((6, 6), (5, 1)):
        monkeypatch.setattr(constants, "_LARGEST", limit)
        found = read(make_node("ConstantOfShape", "e2"))
        assert found is not None
        assert found.size == size


def test_whole_numbers_of_an_operator() -> None:
    nodes = [
        make_node("Squeeze", "x", "s", axes=[1, 2]), make_node("Slice", "x e2 e3 -", "y"),
        make_node("Split", "x", "z", axis=4),
    ]  # fmt: skip
    graph = gs.import_onnx(make_model(nodes, {"x": ["n", 3]}, {"y": None}, TENSORS))
    squeeze, part, split = graph.nodes
    assert read_integers(squeeze, "axes", 1) == (1, 2)
    assert read_integers(split, "axis", 9) == (4,)
    assert read_integers(part, "starts", 1) == (2, 3)
    for position in (0, 3, 4):  # not constant, left out, not there
        assert read_integers(part, "starts", position) is None
    assert [is_constant(each) for each in part.inputs[:3]] == [False, True, True]
