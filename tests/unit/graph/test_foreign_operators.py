"""Nodes that ONNX's checker passes without a look, as their operators are not ONNX's own."""

from pathlib import Path

import onnx
import pytest
from onnx import helper

import nhle_onnx
from nhle_onnx.errors import InputRefusedError
from nhle_onnx.graph.load import load_model
from support.graphs import make_model
from support.shipped import LENET

PACKED = {"N": 4, "K": 32, "bits": 4, "block_size": 32}
INPUTS = ("x", "w", "s")


def write(folder: Path, domain: str, operator: str, count: int, **attributes: object) -> Path:
    """Write a model of one node."""
    node = helper.make_node(
        operator, INPUTS[:count], ["y"], name="odd", domain=domain, **attributes
    )
    model = make_model([node], {name: ["n"] for name in INPUTS}, {"y": ["n"]})
    model.opset_import.append(helper.make_opsetid(domain, 1))
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


@pytest.mark.parametrize(
    ("domain", "operator", "count", "attributes", "fault"),
    [
        ("com.microsoft", "MatMulNBits", 1, PACKED, "with 1 inputs, where it takes at least 3"),
        ("com.microsoft", "MatMulNBits", 3, PACKED | {"N": "4"}, "whose N is not of type INT"),
        ("com.microsoft", "MatMulNBits", 3, {"N": 4, "bits": 4}, "without K"),
        ("com.microsoft", "Gelu", 3, {}, "with 3 inputs, where it takes 1"),
        ("of.a.stranger", "Reshape", 1, {}, "with 1 inputs, where it takes at least 2"),
        ("of.a.stranger", "RMSNormalization", 1, {}, "with 1 inputs, where it takes at least 2"),
        ("of.a.stranger", "Cast", 1, {"to": "float"}, "whose to is not of type INT"),
    ],
)
def test_what_does_not_fit_its_operator_is_refused(
    tmp_path: Path,
    domain: str,
    operator: str,
    count: int,
    attributes: dict[str, object],
    fault: str,
) -> None:
    path = write(tmp_path, domain, operator, count, **attributes)
    with pytest.raises(InputRefusedError) as caught:
        load_model(path)
    assert f"{path} has a {operator} (odd) {fault}" in str(caught.value)


@pytest.mark.parametrize(
    ("domain", "operator", "count", "attributes"),
    [
        ("com.microsoft", "MatMulNBits", 3, PACKED),
        ("com.microsoft", "Gelu", 1, {}),
        ("of.a.stranger", "Unheard", 2, {"of": "anything"}),
    ],
)
def test_what_fits_is_read(
    tmp_path: Path, domain: str, operator: str, count: int, attributes: dict[str, object]
) -> None:
    assert load_model(write(tmp_path, domain, operator, count, **attributes)).proto.graph.node


@pytest.mark.parametrize("place", range(len(onnx.load(LENET).graph.node)))
def test_a_node_without_inputs_is_no_bug(tmp_path: Path, place: int) -> None:
    """Each of a network's operators under another's name, where code reads its first input."""
    model = onnx.load(LENET)
    node = model.graph.node[place]
    node.domain = "com.microsoft"
    del node.input[:]
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(InputRefusedError, match="with 0 inputs"):
        nhle_onnx.inspect(tmp_path / "model.onnx")
