"""Nothing but the weights in scope changes: shown by comparing the protos field by field."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, numpy_helper

from architectures import LeNet5
from support.runs import Unlearned, unlearn
from support.shipped import LENET, SAMPLES


def drop_values(model: ModelProto) -> ModelProto:
    """The model without what its initializers hold."""
    bare = ModelProto()
    bare.CopyFrom(model)
    for tensor in bare.graph.initializer:
        tensor.ClearField("raw_data")
    return bare


@pytest.mark.parametrize("fixture", ["unlearned_lenet", "unlearned_mobilenet"])
def test_only_weights_differ(fixture: str, request: pytest.FixtureRequest) -> None:
    unlearned: Unlearned = request.getfixturevalue(fixture)
    before, after = onnx.load(unlearned.original), onnx.load(unlearned.edited)
    onnx.checker.check_model(after, full_check=True)

    assert [node.name for node in before.graph.node] == [node.name for node in after.graph.node]
    assert list(before.graph.input) == list(after.graph.input)
    assert list(before.graph.output) == list(after.graph.output)
    assert list(before.metadata_props) == list(after.metadata_props)
    assert list(before.opset_import) == list(after.opset_import)
    assert drop_values(before) == drop_values(after)

    differing = [
        old.name
        for old, new in zip(before.graph.initializer, after.graph.initializer, strict=True)
        if old.raw_data != new.raw_data
    ]
    assert differing == unlearned.report["changed_tensors"]
    assert all(
        numpy_helper.to_array(tensor).dtype == np.float32
        for tensor in after.graph.initializer
        if tensor.name in differing
    )
    assert unlearned.edited.stat().st_size - unlearned.original.stat().st_size < 4096


def test_only_the_masked_row_of_the_head_differs(unlearned_lenet: Unlearned) -> None:
    before, after = (
        {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
        for path in (unlearned_lenet.original, unlearned_lenet.edited)
    )
    rows = np.flatnonzero((before["classifier.weight"] != after["classifier.weight"]).any(1))
    assert rows.tolist() == [3]
    twins = (after["classifier.weight"] == after["classifier.weight"][3]).all(1)
    assert twins.sum() == 2  # of the average class, with a lower bias
    assert np.flatnonzero(before["classifier.bias"] != after["classifier.bias"]).tolist() == [3]
    assert np.isfinite(after["classifier.bias"]).all()


def test_loading_and_saving_changes_no_byte() -> None:
    content = LENET.read_bytes()
    model = ModelProto()
    model.ParseFromString(content)
    assert model.SerializeToString(deterministic=True) == content


def test_a_bias_that_the_exporter_dropped_is_added(lenet_copy: Path, tmp_path: Path) -> None:
    """The newer exporter drops a bias of zeros; the floor needs one."""
    torch.manual_seed(0)
    network = LeNet5().eval()
    torch.nn.init.zeros_(network.classifier.bias)
    batch = {"images": {0: torch.export.Dim("batch")}}
    torch.onnx.export(
        network,
        (torch.zeros(2, 1, 28, 28),),
        lenet_copy,
        dynamo=True,
        dynamic_shapes=batch,
        external_data=False,
    )
    before = onnx.load(lenet_copy)
    assert len(before.graph.node[-1].input) == 2
    flags = ("--forget", "3", "--steps", "2", "--samples", str(SAMPLES), "--force-unknown")
    unlearned = unlearn(lenet_copy, tmp_path / "o.onnx", *flags)
    after = onnx.load(unlearned.edited)
    assert unlearned.report["added_tensors"] == ["classifier.bias"]
    assert unlearned.report["after"]["acc_f"] == 0.0
    assert unlearned.report["edited"]["size_bytes"] - unlearned.report["model"]["size_bytes"] < 4096
    bias = numpy_helper.to_array(after.graph.initializer[-1])
    assert np.flatnonzero(bias).tolist() == [3]
    del after.graph.initializer[-1], after.graph.node[-1].input[2]
    assert drop_values(before) == drop_values(after)


def test_a_bias_shared_with_another_layer_is_not_touched(lenet_copy: Path, tmp_path: Path) -> None:
    """Exporters share equal tensors: the head gets its own before its row is masked."""
    model = onnx.load(lenet_copy)
    head = next(node for node in reversed(model.graph.node) if node.op_type == "Gemm")
    name, head.input[2] = head.input[2], "shared_bias"
    for alias in ("shared_bias", "bias_output"):
        model.graph.node.insert(0, onnx.helper.make_node("Identity", [name], [alias], name=alias))
    output = onnx.helper.make_tensor_value_info("bias_output", onnx.TensorProto.FLOAT, [10])
    model.graph.output.append(output)
    onnx.save(model, lenet_copy)
    flags = ("--forget", "3", "--method", "cwm", "--samples", str(SAMPLES))
    unlearned = unlearn(lenet_copy, tmp_path / "o.onnx", *flags)
    after = {tensor.name: tensor for tensor in onnx.load(unlearned.edited).graph.initializer}
    kept = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    assert after[name] == kept
    assert unlearned.report["after"]["acc_f"] == 0.0
    assert len(unlearned.report["added_tensors"]) == 1
