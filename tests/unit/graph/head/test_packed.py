"""Rows that MatMulNBits packs into bytes: read, written, and refused where they do not fit."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.packed import PACKED_BITS, pack, unpack
from support.head_forms import build, load
from support.quantized_forms import FORMS


@given(bits=st.sampled_from(sorted(PACKED_BITS)), width=st.integers(1, 16), seed=st.integers(0, 99))
def test_what_is_packed_is_unpacked_and_padding_stays(bits: int, width: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    stored = generator.integers(0, 256, (3, 1, 16), np.uint8)
    numbers = generator.integers(0, 2**bits, (3, width))
    packed = pack(numbers, bits, stored).astype(np.uint8)
    np.testing.assert_array_equal(unpack(packed, bits, width), numbers)
    size = 16 * 8 // bits
    before, after = (unpack(each, bits, size)[:, width:] for each in (stored, packed))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"N": 3}, "another size"),
        ({"K": 0}, "another size"),
        ({"K": 40}, "does not fit"),
        ({"block_size": 0}, "does not fit"),
        ({"bits": 3}, "no constant weight"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    change: dict[str, int], reason: str, tmp_path: Path
) -> None:
    model = load(FORMS["packed"](), tmp_path)
    (product,) = [node for node in model.proto.graph.node if node.op_type == "MatMulNBits"]
    kept = [each for each in product.attribute if each.name not in change]
    del product.attribute[:]
    product.attribute.extend([*kept, *(helper.make_attribute(*each) for each in change.items())])
    with pytest.raises(UnsupportedModelError, match=reason):
        find_head(model)


def test_scales_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    proto = build(FORMS["packed"]())
    (scales,) = [each for each in proto.graph.initializer if each.name == "s"]
    scales.CopyFrom(numpy_helper.from_array(np.ones((3, 1), np.float32), "s"))
    with pytest.raises(UnsupportedModelError, match="does not fit"):
        find_head(load(proto, tmp_path))
