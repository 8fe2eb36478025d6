"""An edited file holds no weights of before: neither what the graph ignores, nor dead bytes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from support.runs import Nhle
from support.shipped import EVALUATION, LENET, SAMPLES

SECRET = np.arange(40, dtype=np.float32) + 0.123
_TEXT = "secret" + SECRET.tobytes().hex() * 300


def _tensor(name: str = "ema") -> TensorProto:
    return numpy_helper.from_array(SECRET, name)


def _add_input(model: ModelProto) -> None:
    model.ir_version = 3
    for tensor in (*model.graph.initializer, _tensor()):
        model.graph.input.append(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        )
    model.graph.initializer.append(_tensor())


def _add_function(model: ModelProto) -> None:
    node = helper.make_node("Constant", [], ["y"], value=_tensor())
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "Old", [], ["y"], [node], opsets))


def _add_chain(model: ModelProto) -> None:
    model.graph.initializer.append(_tensor())
    model.graph.node.append(helper.make_node("Neg", ["ema"], ["negative"]))


def _add_training(model: ModelProto) -> None:
    node = helper.make_node("Constant", [], ["t"], value=_tensor())
    model.training_info.add().algorithm.CopyFrom(
        helper.make_graph([node], "train", [], [helper.make_tensor_value_info("t", 1, [40])])
    )


def _add_unknown(model: ModelProto) -> None:
    content = model.SerializeToString()
    model.ParseFromString(content + b"\xfa\x7f" + bytes([160, 1]) + SECRET.tobytes())


def _add_sparse(model: ModelProto) -> None:
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(_tensor())
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(40), "places"))
    sparse.dims.append(40)


_PLACES: dict[str, Callable[[ModelProto], object]] = {
    "initializer": lambda model: model.graph.initializer.append(_tensor()),
    "initializer that is an input": _add_input,
    "Constant": lambda model: model.graph.node.append(
        helper.make_node("Constant", [], ["ema"], value=_tensor())
    ),
    "chain of nodes": _add_chain,
    "function": _add_function,
    "training information": _add_training,
    "metadata": lambda model: model.metadata_props.add(key="k", value=_TEXT),
    "description": lambda model: setattr(model, "doc_string", _TEXT),
    "description of the graph": lambda model: setattr(model.graph, "doc_string", _TEXT),
    "description of a node": lambda model: setattr(model.graph.node[0], "doc_string", _TEXT),
    "metadata of a node": lambda model: model.graph.node[0].metadata_props.add(
        key="k", value=_TEXT
    ),
    "sparse initializer": _add_sparse,
    "unknown field": _add_unknown,
}
_FLAGS = ("--forget", 3, "--method", "cwm", "--samples", SAMPLES, "--allow-unjudged", "--quiet")


@pytest.mark.parametrize("place", _PLACES)
def test_what_no_output_needs_is_removed(
    nhle: Nhle, lenet_copy: Path, tmp_path: Path, place: str
) -> None:
    model = onnx.load(lenet_copy)
    _PLACES[place](model)
    lenet_copy.write_bytes(model.SerializeToString())
    assert SECRET.tobytes() in lenet_copy.read_bytes() or _TEXT.encode() in lenet_copy.read_bytes()
    out = tmp_path / "edited.onnx"
    result = nhle("unlearn", lenet_copy, *_FLAGS, "--out", out)
    assert result.code == 0, result
    content = out.read_bytes()
    assert SECRET.tobytes() not in content
    assert SECRET.tobytes().hex().encode() not in content
    assert json.loads(out.with_suffix(".report.json").read_text("utf-8"))["removed"]
    assert nhle("diff", lenet_copy, out).code == 0


def test_dead_bytes_of_a_sidecar_are_not_kept(nhle: Nhle, lenet_copy: Path, tmp_path: Path) -> None:
    """Saving twice into one place appends."""
    for _ in range(2):
        model = onnx.load(lenet_copy)
        onnx.save_model(
            model, lenet_copy, save_as_external_data=True, location="w.bin", size_threshold=0
        )
    sidecar = lenet_copy.with_name("w.bin")
    weight = numpy_helper.to_array(next(
        tensor for tensor in onnx.load(LENET).graph.initializer
        if tensor.name == "classifier.weight"
    ))  # fmt: skip
    assert sidecar.read_bytes().count(weight[3].tobytes()) == 2
    out = tmp_path / "edited.onnx"
    assert nhle("unlearn", lenet_copy, *_FLAGS, "--out", out).code == 0
    assert weight[3].tobytes() not in out.with_name("edited.onnx.data").read_bytes()


@pytest.mark.parametrize("place", ["initializer", "function", "metadata"])
def test_the_audit_names_what_no_output_needs(
    nhle: Nhle, lenet_copy: Path, masked: Path, place: str
) -> None:
    model = onnx.load(masked)
    _PLACES[place](model)
    lenet_copy.write_bytes(model.SerializeToString())
    data = lenet_copy.with_name("few.npz")
    samples = np.load(EVALUATION)
    np.savez(data, x=samples["x"][::20], y=samples["y"][::20])
    flags = ("--forget", 3, "--data", data, "--effort", "fast", "--repeats", 1, "--json")
    result = nhle("audit", lenet_copy, "--baseline", LENET, *flags)
    assert any("what no output needs" in note for note in json.loads(result.out)["notes"])
