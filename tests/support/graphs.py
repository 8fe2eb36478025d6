"""Small graphs, and what ONNX Runtime computes with them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

MICROSOFT = "com.microsoft"

Array = np.ndarray[Any, Any]
Shape = Sequence[int | str | None]
Stored = Array | TensorProto
Held = TypeVar("Held")


def make_node(op_type: str, inputs: str, output: str = "y", **attributes: Any) -> NodeProto:  # noqa: ANN401 - ONNX attributes vary
    """A node whose inputs' names are parted by spaces; a dash leaves one out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op_type, names, [output], **attributes)


def make_model(
    nodes: Iterable[NodeProto],
    inputs: Mapping[str, Shape | Array | None],
    outputs: Mapping[str, Shape | Array | None],
    tensors: Mapping[str, Stored] | Sequence[TensorProto] = (),
    opset: int = 17,
) -> ModelProto:
    """With the operators of ONNX and of Microsoft. Inputs and outputs are declared by a shape of
    floats, by an array like theirs, or not at all.
    """
    graph = helper.make_graph(
        [*nodes],
        "graph",
        [_declare(name, value) for name, value in inputs.items()],
        [_declare(name, value) for name, value in outputs.items()],
        [_store(*each) for each in tensors.items()] if isinstance(tensors, Mapping) else tensors,
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def _declare(name: str, value: Shape | Array | None) -> ValueInfoProto:
    if value is None:
        return helper.make_empty_tensor_value_info(name)
    if isinstance(value, np.ndarray):
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        return helper.make_tensor_value_info(name, kind, value.shape)
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, value)


def _store(name: str, values: Stored) -> TensorProto:
    return values if isinstance(values, TensorProto) else numpy_helper.from_array(values, name)


def keep_used(tensors: Mapping[str, Held], nodes: Iterable[NodeProto]) -> dict[str, Held]:
    """Those that a node reads."""
    used = {name for node in nodes for name in node.input}
    return {name: values for name, values in tensors.items() if name in used}


def place_outside(tensor: TensorProto, **entries: object) -> TensorProto:
    """Say that a tensor lies outside the model's file."""
    tensor.ClearField("raw_data")
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def run_model(model: ModelProto | Path, *inputs: Array, fuses: bool = True) -> list[Array]:
    """Every output, by ONNX Runtime as users run it on a CPU. Unless it `fuses` nodes, quantizers
    stay nodes of their own, so no processor saturates sums of integers.
    """
    content = model.SerializeToString() if isinstance(model, ModelProto) else model
    options = ort.SessionOptions()
    if not fuses:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return list(session.run(None, dict(zip(names, inputs, strict=True))))
