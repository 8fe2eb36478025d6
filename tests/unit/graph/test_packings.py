"""Numbers packed into bytes: which operators' weights are, and how many numbers they hold."""

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from nhle_onnx.graph.packed import Packing, list_packings, measure_sizes
from nhle_onnx.graph.tensors import make_blank
from support.graphs import MICROSOFT, make_model, make_node


def make_packed(stored: TensorProto, op_type: str = "MatMulNBits", **attributes: int) -> ModelProto:
    node = make_node(op_type, "x q s", domain=MICROSOFT, **attributes)
    scales = numpy_helper.from_array(np.ones(3, np.float32), "s")
    return make_model([node], {"x": ["n", 5]}, {"y": ["n", 3]}, [stored, scales])


def store(*shape: int, kind: type = np.uint8) -> TensorProto:
    return numpy_helper.from_array(np.zeros(shape, kind), "q")


@pytest.mark.parametrize(
    ("attributes", "shape", "packing"),
    [
        ({"N": 3, "K": 5}, (3, 1, 3), Packing(rows=3, width=5, bits=4)),
        ({"N": 3, "K": 6, "bits": 4}, (3, 3), Packing(rows=3, width=6, bits=4)),
        ({"N": 3, "K": 12, "bits": 2}, (3, 3), Packing(rows=3, width=12, bits=2)),
        ({"N": 3, "K": 3, "bits": 8}, (3, 3), Packing(rows=3, width=3, bits=8)),
        ({"N": 3, "K": 7}, (3, 3), None),
        ({"N": 2, "K": 5}, (3, 3), None),
        ({"N": 3, "K": 0}, (3, 3), None),
        ({"N": 3}, (3, 3), None),
        ({"K": 5}, (3, 3), None),
        ({"N": 3, "K": 5, "bits": 3}, (3, 3), None),
        ({"N": 3, "K": 5}, (), None),
    ],
)
def test_a_weight_that_fits_its_operator(
    attributes: dict[str, int], shape: tuple[int, ...], packing: Packing | None
) -> None:
    model = make_packed(store(*shape), **attributes)
    assert list_packings(model) == ({} if packing is None else {"q": packing})
    if packing:
        assert packing.limits == (0, 2**packing.bits - 1)
    count = packing.rows * packing.width if packing else int(np.prod(shape))
    assert measure_sizes(model) == {"q": count, "s": 3}


def test_other_types_and_operators_pack_nothing() -> None:
    assert list_packings(make_packed(store(3, 3, kind=np.int8), N=3, K=5)) == {}
    assert list_packings(make_packed(store(3, 3), "MatMulFpQ4", N=3, K=5)) == {}
    model = make_packed(store(3, 3), N=3, K=5)
    model.graph.initializer[0].name = "other"
    assert list_packings(model) == {}


def test_a_blank_model_has_matrices_of_zeros() -> None:
    """Vectors, whole numbers, and what is not stored as raw bytes stay as they are."""
    matrix, vector = np.ones((2, 3), np.float32), np.ones(3, np.float32)
    tensors = [
        numpy_helper.from_array(matrix, "w"), numpy_helper.from_array(vector, "b"),
        numpy_helper.from_array(matrix.astype(np.int64), "i"),
        helper.make_tensor("f", TensorProto.FLOAT, (2, 3), matrix.ravel()),
    ]  # fmt: skip
    model = make_model([make_node("Relu", "x")], {"x": [3]}, {"y": [3]}, tensors)
    before = model.SerializeToString()
    blank = {each.name: each for each in make_blank(model).graph.initializer}
    assert model.SerializeToString() == before
    np.testing.assert_array_equal(numpy_helper.to_array(blank.pop("w")), np.zeros_like(matrix))
    assert blank == {each.name: each for each in tensors if each.name != "w"}
