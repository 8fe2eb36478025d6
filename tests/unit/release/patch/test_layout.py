"""Where the tensors of a model lie in its files, by what onnx reads of the same bytes."""

from pathlib import Path

import onnx
import pytest
from onnx import ModelProto, TensorProto

from nhle_onnx.errors import InputRefusedError
from nhle_onnx.release.patch.layout import Stored, group_by_file, list_stored
from support.assertions import assert_told
from support.patch_models import (
    TENSORS,
    WEIGHT,
    make_model,
)
from support.shipped import LENET

STRUCTURES = {
    "in initializers": make_model(TENSORS),
    "in constants": make_model(TENSORS, constants=True),
    "LeNet-5": onnx.load(LENET),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_tensors_lie_where_they_are_said_to(name: str) -> None:
    proto = STRUCTURES[name]
    content = proto.SerializeToString()
    found = {tensor.name: tensor for tensor in list_stored(Path("m"), content)}
    tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
    tensors |= {
        node.output[0]: node.attribute[0].t
        for node in proto.graph.node
        if node.op_type == "Constant"
    }
    assert found.keys() == tensors.keys()
    for key, tensor in tensors.items():
        stored = found[key]
        assert content[stored.start : stored.start + stored.size] == tensor.raw_data
        assert (stored.kind, stored.shape, stored.file) == (tensor.data_type, (*tensor.dims,), "")


WIDTHS = {
    TensorProto.FLOAT: 4, TensorProto.INT32: 4, TensorProto.FLOAT16: 2, TensorProto.BFLOAT16: 2,
    TensorProto.INT8: 1, TensorProto.INT4: 1, TensorProto.DOUBLE: 1, TensorProto.INT64: 1,
}  # fmt: skip


@pytest.mark.parametrize(("kind", "width"), WIDTHS.items())
def test_words_are_of_the_numbers_width(kind: int, width: int) -> None:
    tensor = Stored(name="t", kind=kind, shape=(4,), file="", start=0, size=4 * width)
    assert tensor.width == width


def add_field(number: int, wire: int, value: bytes) -> bytes:
    key, encoded = number << 3 | wire, b""
    while key > 0x7F:
        encoded, key = encoded + bytes([key & 0x7F | 0x80]), key >> 7
    return encoded + bytes([key]) + value


@pytest.mark.parametrize("wire", [0, 1, 2, 5])
def test_fields_of_a_later_format_are_passed_over(wire: int) -> None:
    """Of each kind that the wire has, before and behind the graph."""
    values = {0: b"\xff\xff\x03", 1: bytes(8), 2: b"\x85\x00abcde", 5: bytes(4)}
    field = add_field(1000, wire, values[wire])
    content = make_model(TENSORS).SerializeToString()
    plain = list_stored(Path("m"), content)
    found = list_stored(Path("m"), field + content + field)
    assert [tensor.start - len(field) for tensor in found] == [tensor.start for tensor in plain]
    assert [tensor.name for tensor in found] == [tensor.name for tensor in plain]


def test_an_unusual_encoding_is_refused(tmp_path: Path) -> None:
    """Numbers that are said twice, and groups, which protobuf has given up."""
    model = make_model({"w": WEIGHT})
    tensor = model.graph.initializer[0].SerializeToString()
    twice = tensor + add_field(TensorProto.RAW_DATA_FIELD_NUMBER, 2, b"\x04abcd")
    del model.graph.initializer[:]
    length = len(twice).to_bytes(2, "little")
    size = bytes([length[0] & 0x7F | 0x80, len(twice) >> 7])
    body = add_field(onnx.GraphProto.INITIALIZER_FIELD_NUMBER, 2, size + twice)
    size = bytes([len(body) & 0x7F | 0x80, len(body) >> 7])
    doubled = model.SerializeToString() + add_field(ModelProto.GRAPH_FIELD_NUMBER, 2, size + body)
    assert onnx.load_from_string(doubled).graph.initializer[0].raw_data == b"abcd"
    groups = model.SerializeToString() + add_field(1000, 3, b"") + add_field(1000, 4, b"")
    for content in (doubled, groups):
        with pytest.raises(InputRefusedError) as caught:
            list_stored(tmp_path / "m.onnx", content)
        assert_told(caught.value, f"{tmp_path / 'm.onnx'} has an unusual encoding")


def test_tensors_of_a_file_are_in_order_and_apart() -> None:
    def lie(name: str, start: int, size: int, file: str = "") -> Stored:
        return Stored(name=name, kind=1, shape=(), file=file, start=start, size=size)

    tensors = (
        lie("c", 20, 5),
        lie("a", 0, 10),
        lie("over", 9, 3),
        lie("b", 10, 10),
        lie("z", 3, 4, "w.bin"),
    )
    grouped = group_by_file(tensors)
    assert {file: [each.name for each in found] for file, found in grouped.items()} == {
        "": ["a", "b", "c"], "w.bin": ["z"]
    }  # fmt: skip
