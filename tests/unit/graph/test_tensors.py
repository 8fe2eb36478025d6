"""Numbers in tensors, held against what onnx and ONNX Runtime make of the same bytes."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from nhle_onnx.graph.element_types import get_range, is_quantized
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.index_ranges import find_ranges
from nhle_onnx.graph.quant_params import (
    express_reals,
    fits_quant_params,
    read_reals,
    round_reals,
)
from nhle_onnx.graph.subgraph import expose_tensors, list_ancestors, sort_nodes
from nhle_onnx.graph.tensor_sizes import count_bytes, count_entries
from nhle_onnx.graph.tensors import (
    list_tensors,
    measure_bytes,
    read_tensors,
    replace_tensors,
)
from nhle_onnx.graph.traversal import list_all_tensors
from nhle_onnx.values.model import QuantParams
from support.graphs import make_model

KINDS = [
    TensorProto.DataType.Value(name)
    for name in TensorProto.DataType.keys()  # noqa: SIM118 - no mapping
    if name not in {"UNDEFINED", "STRING"}
]
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
NAMES = TensorProto.DataType.Name


def hold(*tensors: TensorProto) -> ModelProto:
    return make_model([], {}, {}, tensors)


def make_tensor(kind: int, shape: tuple[int, ...], *, raw: bool) -> TensorProto:
    values = np.arange(np.prod(shape)).reshape(shape) % 3
    array = values.astype(helper.tensor_dtype_to_np_dtype(kind))
    if raw:
        return numpy_helper.from_array(array, "t")
    return helper.make_tensor("t", kind, shape, array.ravel().tolist())


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (5, 7), (2, 0, 3)])
def test_sizes_are_those_that_onnx_writes(kind: int, shape: tuple[int, ...]) -> None:
    raw = make_tensor(kind, shape, raw=True)
    assert count_bytes(raw) == len(raw.raw_data)
    listed = make_tensor(kind, shape, raw=False)
    field = helper.tensor_dtype_to_field(kind)
    assert count_entries(listed) == len(getattr(listed, field))


def list_edits() -> Iterator[tuple[int, bool]]:
    for kind in (*FLOATS, *filter(is_quantized, KINDS)):
        yield kind, True
        if kind not in {TensorProto.UINT16, TensorProto.INT16}:
            yield kind, False


@pytest.mark.parametrize(("kind", "raw"), [*list_edits()])
def test_what_is_replaced_is_what_onnx_reads(
    kind: int,
    raw: bool,  # noqa: FBT001 - a parameter
) -> None:
    """In the field where it was; beyond the type's range it becomes the end."""
    tensor = make_tensor(kind, (3, 5), raw=raw)
    proto = hold(tensor)
    before = numpy_helper.to_array(tensor)
    is_real = kind in FLOATS
    limits = ml_dtypes.finfo(before.dtype) if is_real else ml_dtypes.iinfo(before.dtype)
    values = np.zeros((3, 5))
    values[0] = [0.25, 1.25, 2.5, 6.6, 5.4] if is_real else [0, 1.4, 2.6, 6.6, 5.4]
    values[1, 0], values[1, 1] = float(limits.min) * 1.5 - 10, float(limits.max) * 1.5
    if kind == TensorProto.DOUBLE:
        values[1, :2] = limits.min, limits.max
    replace_tensors(proto, {"t": values})
    (changed,) = proto.graph.initializer
    found = numpy_helper.to_array(changed)
    assert (found.dtype, found.shape) == (before.dtype, before.shape)
    expected = values[0] if is_real else np.rint(values[0])
    assert found[0].tolist() == expected.astype(before.dtype).tolist()
    assert [float(each) for each in found[1, :2]] == [float(limits.min), float(limits.max)]
    assert (found[2].astype(np.float64) == 0).all()
    assert changed.HasField("raw_data") is raw
    assert len(changed.raw_data or changed.ListFields()[-1][1]) in {
        count_bytes(changed), count_entries(changed), 1
    }  # fmt: skip
    onnx.checker.check_tensor(changed)


def test_what_is_no_number_stays_none() -> None:
    proto = hold(numpy_helper.from_array(np.zeros(3, np.float16), "t"))
    replace_tensors(proto, {"t": np.float32([np.nan, np.inf, -np.inf])})
    found = read_tensors(proto, ("t",))["t"]
    assert np.isnan(found[0])
    assert found[1:].tolist() == [np.inf, -np.inf]
    with pytest.raises(ValueError, match=r"t: shape \(4,\) does not fit \(3,\)"):
        replace_tensors(proto, {"t": np.zeros(4)})


def test_whole_numbers_that_floats_do_not_hold_keep_their_bits() -> None:
    numbers = np.int32([2**24 + 1, -(2**31), 2**31 - 1, 7])
    proto = hold(numpy_helper.from_array(numbers, "t"))
    moved = numbers.astype(np.float32)
    moved[3] = 9
    replace_tensors(proto, {"t": moved})
    assert numpy_helper.to_array(proto.graph.initializer[0]).tolist() == [*numbers[:3], 9]


def test_constants_count_as_tensors() -> None:
    """Under their node's output; and all parts of a file are walked through."""
    held = numpy_helper.from_array(np.float32([1, 2]), "inner")
    body = helper.make_graph([helper.make_node("Constant", [], ["c"], value=held)], "b", [], [])
    proto = hold(numpy_helper.from_array(np.float32([3]), "t"))
    proto.graph.node.extend([
        helper.make_node("Constant", [], ["k"], value=held),
        helper.make_node("Constant", [], ["text"], value_string="no tensor"),
        helper.make_node("If", ["k"], ["y"], then_branch=body, else_branch=body),
    ])  # fmt: skip
    assert [name for name, _ in list_tensors(proto)] == ["t", "k"]
    assert measure_bytes(proto) == 12
    assert sorted(tensor.name for tensor in list_all_tensors(proto)) == ["inner"] * 3 + ["t"]


@given(st.lists(st.integers(-5, 40), unique=True).map(sorted))
def test_runs_are_the_indices(indices: list[int]) -> None:
    runs = find_ranges(indices)
    assert [index for first, last in runs for index in range(first, last + 1)] == indices
    assert all(first <= last for first, last in runs)
    assert all(after[0] > before[1] + 1 for before, after in pairwise(runs))


@st.composite
def draw_grids(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(
        st.sampled_from([TensorProto.INT8, TensorProto.UINT8, TensorProto.INT4, TensorProto.INT16])
    )
    shape = draw(st.sampled_from([(3, 4), (4, 3), (6, 2), (2, 3, 4)]))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    spread = draw(st.sampled_from(["one", "axis", "block"]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    low, high = get_range(kind)
    block = 2 if spread == "block" else 0
    scaled = [
        -(-n // 2) if block and index == axis % len(shape) else n for index, n in enumerate(shape)
    ]
    of_scale = {"one": (), "axis": (shape[axis],), "block": tuple(scaled)}[spread]
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    return {
        "w": rng.integers(low, high + 1, shape).astype(dtype),
        "s": rng.uniform(0.01, 1, of_scale).astype(np.float32),
        "p": rng.integers(low, high + 1, of_scale).astype(dtype) if draw(st.booleans()) else None,
        "axis": axis, "block_size": block,
    }  # fmt: skip


@given(draw_grids())
def test_grids_stand_for_what_onnx_says(drawn: dict[str, Any]) -> None:
    """By onnx's own DequantizeLinear; and rounding brings the same numbers back."""
    arrays = {name: drawn[name] for name in "wsp" if drawn[name] is not None}
    at = {"axis": drawn["axis"], "block_size": drawn["block_size"]}
    dequantize = helper.make_node("DequantizeLinear", [*arrays], ["y"], **at)
    proto = make_model([dequantize], {}, {"y": None}, arrays, opset=21)
    params = QuantParams(scales=("s",), zero_point="p" if "p" in arrays else None, **at)
    found = read_reals(GraphIndex(proto), "w", params)
    (expected,) = ReferenceEvaluator(proto).run(None, {})
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert fits_quant_params(GraphIndex(proto), "w", params)
    numbers = drawn["w"].astype(np.float64)
    assert (round_reals(GraphIndex(proto), "w", params, found) == numbers).all()
    assert (express_reals(GraphIndex(proto), numbers, params) == found).all()
    low, high = get_range(proto.graph.initializer[0].data_type)
    assert set(round_reals(GraphIndex(proto), "w", params, found + 1e9).ravel()) == {high}
    assert set(round_reals(GraphIndex(proto), "w", params, found - 1e9).ravel()) == {low}


@pytest.mark.parametrize(
    ("kind", "shape", "fits"),
    [
        (np.int8, (4,), True), (np.int8, (3,), False), (np.int8, (1,), True),
        (np.int8, (), True), (np.float32, (4,), False),
    ],
)  # fmt: skip
def test_scales_that_fit(kind: type, shape: tuple[int, ...], fits: bool) -> None:  # noqa: FBT001
    tensors = {"w": np.ones((4, 3), kind), "s": np.ones(shape, np.float32)}
    proto = hold(*(numpy_helper.from_array(values, name) for name, values in tensors.items()))
    assert (
        fits_quant_params(GraphIndex(proto), "w", QuantParams(scales=("s",), zero_point=None))
        is fits
    )


@pytest.mark.parametrize(
    ("scale", "fits", "rises"), [(-1, True, False), (0, False, False), (np.inf, False, False)]
)
def test_steps_that_fit(scale: float, fits: bool, rises: bool) -> None:  # noqa: FBT001
    """A quantizer of blocks writes scales below 0 where the number farthest from 0 is positive."""
    tensors = {"w": np.ones(4, np.int8), "s": np.float32([1, 1, 1, scale])}
    proto = hold(*(numpy_helper.from_array(values, name) for name, values in tensors.items()))
    params = QuantParams(scales=("s",), zero_point=None, axis=0)
    assert fits_quant_params(GraphIndex(proto), "w", params) is fits
    assert fits_quant_params(GraphIndex(proto), "w", params, needs_positive=True) is rises


def test_scales_are_multiplied() -> None:
    """As those of a bias are."""
    tensors = {"w": np.int32([4, -6]), "s": np.float32(0.5), "t": np.float32([2, 3])}
    proto = hold(*(numpy_helper.from_array(values, name) for name, values in tensors.items()))
    params = QuantParams(scales=("s", "t"), zero_point=None)
    assert read_reals(GraphIndex(proto), "w", params).tolist() == [4.0, -9.0]


@st.composite
def draw_graphs(draw: st.DrawFn) -> list[onnx.NodeProto]:
    """Sums of two earlier results each, in any order."""
    nodes = []
    for index in range(draw(st.integers(1, 8))):
        inputs = draw(
            st.lists(
                st.sampled_from(["x", *(f"r{n}" for n in range(index))]), min_size=2, max_size=2
            )
        )
        nodes.append(helper.make_node("Add", inputs, [f"r{index}"]))
    return list(draw(st.permutations(nodes)))


@given(draw_graphs())
def test_nodes_are_brought_into_order(nodes: list[onnx.NodeProto]) -> None:
    """onnx's own evaluator then finds every result, of all nodes or those that are needed."""
    model = make_model(nodes, {"x": [1]}, {"r0": [1]})
    ordered = sort_nodes(model.graph)
    assert sorted(node.output[0] for node in ordered) == sorted(node.output[0] for node in nodes)
    values = {"x": 1.0}
    for node in ordered:
        values[node.output[0]] = sum(values[name] for name in node.input)
    names = [node.output[0] for node in nodes[:2]]
    exposed = expose_tensors(model, *names)
    assert [output.name for output in exposed.graph.output] == names
    found = ReferenceEvaluator(exposed).run(None, {"x": np.ones(1, np.float32)})
    assert [float(each[0]) for each in found] == [values[name] for name in names]
    assert [node.output[0] for node in model.graph.node] == [node.output[0] for node in nodes]
    needed = {name for node in exposed.graph.node for name in (*node.input, *names)}
    assert all(node.output[0] in needed for node in exposed.graph.node)


def test_a_circle_has_no_order() -> None:
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Neg", ["a"], ["b"]),
        helper.make_node("Neg", ["x"], ["c"]), helper.make_node("Neg", ["b"], ["d"]),
    ]  # fmt: skip
    graph = helper.make_graph(nodes, "g", [], [])
    assert [node.output[0] for node in list_ancestors(graph, ["d", "c", "none"])] == ["c"]
    assert [node.output[0] for node in sort_nodes(graph)] == ["a", "b", "c", "d"]
