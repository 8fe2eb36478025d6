"""Rows that MatMulNBits packs into bytes: read, written, and refused where they do not fit."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.head.drop import drop_classes
from nhle_onnx.graph.head.find import find_head
from nhle_onnx.graph.packed import PACKED_BITS, pack, unpack
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.workflows.masking import mask_head
from support.graphs import MICROSOFT, run_model
from support.head_forms import BIAS, CLASSES, Form, build, draw_images, load, node
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


def make_blocks() -> Form:
    """Three blocks for each class, whose scales and zero points lie in one row."""
    width, size = 40, 16
    generator = np.random.default_rng(2)
    packs = {"N": CLASSES, "K": width, "bits": 4, "block_size": size}
    tensors = {
        "w": generator.integers(0, 256, (CLASSES, 3, size // 2), np.uint8),
        "s": generator.uniform(0.05, 0.2, CLASSES * 3).astype(np.float32),
        "p": generator.integers(0, 256, CLASSES * 2, np.uint8), "b": BIAS,
    }  # fmt: skip
    product = node("MatMulNBits", "x w s p", "m", domain=MICROSOFT, **packs)
    return Form(nodes=[product, node("Add", "m b", "y")], tensors=tensors, op="", image=(width,))


def test_blocks_in_one_row_are_copied_and_cut(tmp_path: Path) -> None:
    """As ONNX Runtime's quantizers wrote them first."""
    model = load(make_blocks(), tmp_path)
    head, images = find_head(model), draw_images(make_blocks())
    masked, smaller = (copy_model(model.proto) for _ in range(2))
    request = ForgetRequest(forget=(1,), num_classes=CLASSES)
    assert mask_head(masked, head, request, UnlearnOptions()).adopted == ("s", "p")
    drop_classes(smaller, head, (1,))
    was, now, left = (run_model(each, images)[0] for each in (model.proto, masked, smaller))
    kept = [0, 2, 3]
    np.testing.assert_array_equal(now[:, kept], was[:, kept])
    np.testing.assert_allclose(left, was[:, kept], rtol=1e-6)
    assert (was.argmax(1) == 1).any()
    assert not (now.argmax(1) == 1).any()


def test_features_in_another_order_are_refused(tmp_path: Path) -> None:
    proto = build(FORMS["packed"]())
    proto.graph.node[0].input.extend(["", "order"])
    order = numpy_helper.from_array(np.zeros(16, np.int32), "order")
    proto.graph.initializer.append(order)
    with pytest.raises(UnsupportedModelError, match="its features in another order"):
        find_head(load(proto, tmp_path))


def test_scales_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    proto = build(FORMS["packed"]())
    (scales,) = [each for each in proto.graph.initializer if each.name == "s"]
    scales.CopyFrom(numpy_helper.from_array(np.ones((3, 1), np.float32), "s"))
    with pytest.raises(UnsupportedModelError, match="does not fit"):
        find_head(load(proto, tmp_path))
