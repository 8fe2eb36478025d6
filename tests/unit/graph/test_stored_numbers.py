"""Tensors of whole numbers: what is written into them, and the real ones that their grids hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.quant_params import read_reals, round_reals
from nhle_onnx.graph.tensors import replace_tensors
from nhle_onnx.values.model import QuantParams
from support.quantized_nets import ANY_REAL, INT32, KINDS, Kind, get_limits

STORED = (*KINDS, INT32)


@st.composite
def draw_tensors(draw: st.DrawFn, kind: Kind) -> tuple[np.ndarray, TensorProto]:
    """Whole numbers, and the tensor that stores them: as bytes, or number by number."""
    low, high = get_limits(kind)
    shape = draw(array_shapes(max_dims=3, max_side=4))
    elements = st.integers(low, high) | st.sampled_from([low, low + 1, high - 1, high])
    numbers = draw(arrays(np.int64, shape, elements=elements)).astype(kind)
    if draw(st.booleans()):
        return numbers, numpy_helper.from_array(numbers, "w")
    code = helper.np_dtype_to_tensor_dtype(kind)
    return numbers, helper.make_tensor("w", code, shape, numbers.ravel())


def make_store(*tensors: TensorProto) -> ModelProto:
    return ModelProto(graph=GraphProto(initializer=tensors))


@pytest.mark.parametrize("kind", STORED, ids=str)
@given(data=st.data())
def test_the_same_values_keep_every_byte(kind: Kind, data: st.DataObject) -> None:
    """Also of 32 bits, of which float32 holds no more than the first 24."""
    numbers, tensor = data.draw(draw_tensors(kind))
    model = make_store(tensor)
    before = model.SerializeToString()
    replace_tensors(model, {"w": numbers.astype(np.float32)})
    assert model.SerializeToString() == before


@pytest.mark.parametrize("kind", STORED, ids=str)
@given(data=st.data())
def test_other_values_are_rounded_into_the_type(kind: Kind, data: st.DataObject) -> None:
    numbers, tensor = data.draw(draw_tensors(kind))
    values = data.draw(arrays(np.float32, numbers.shape, elements=ANY_REAL))
    model = make_store(tensor)
    replace_tensors(model, {"w": values})
    low, high = get_limits(numbers.dtype)
    expected = np.clip(np.rint(values.astype(np.float64)), low, high)
    is_same = values == numbers.astype(np.float32)
    replaced = numpy_helper.to_array(model.graph.initializer[0])
    np.testing.assert_array_equal(
        replaced.astype(np.float64), np.where(is_same, numbers.astype(np.float64), expected)
    )


@st.composite
def draw_grids(draw: st.DrawFn, numbers: np.ndarray) -> tuple[QuantParams, list[TensorProto]]:
    """A grid for numbers: of one scale, or of one for each index or block of an axis."""
    axis = draw(st.integers(-numbers.ndim, numbers.ndim - 1))
    block_size = draw(st.sampled_from([0, 2, 3]))
    shape = list(numbers.shape)
    if block_size:
        shape[axis] = -(-shape[axis] // block_size)
    else:
        shape = draw(st.sampled_from([[], [1], [shape[axis]]]))
    positive = st.floats(2.0**-126, 2.0**100, width=32)
    names = draw(st.sampled_from([("w_scale",), ("x_scale", "w_scale")]))
    tensors = [
        numpy_helper.from_array(draw(arrays(np.float32, tuple(size), elements=positive)), name)
        for name, size in zip(reversed(names), [shape, []], strict=False)
    ]
    limits = get_limits(numbers.dtype)
    zeros = draw(arrays(np.int64, tuple(shape), elements=st.integers(*limits))).astype(
        numbers.dtype
    )
    tensors.append(numpy_helper.from_array(zeros, "w_zero"))
    zero_point = draw(st.sampled_from([None, "w_zero"]))
    return QuantParams(
        scales=names, zero_point=zero_point, axis=axis, block_size=block_size
    ), tensors


@pytest.mark.parametrize("kind", STORED, ids=str)
@given(data=st.data())
def test_reals_of_a_grid_are_rounded_back_to_their_numbers(kind: Kind, data: st.DataObject) -> None:
    numbers, tensor = data.draw(draw_tensors(kind))
    params, tensors = data.draw(draw_grids(numbers))
    model = make_store(tensor, *tensors)
    reals = read_reals(GraphIndex(model), "w", params)
    np.testing.assert_array_equal(
        round_reals(GraphIndex(model), "w", params, reals), numbers.astype(np.float64)
    )
    low, high = get_limits(numbers.dtype)
    for limit, beyond in ((low, -np.inf), (high, np.inf)):
        assert (
            round_reals(GraphIndex(model), "w", params, np.full_like(reals, beyond)) == limit
        ).all()
