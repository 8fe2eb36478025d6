"""Where a lowered model first differs from ONNX Runtime, for the error message."""

import numpy as np
import numpy.typing as npt
import torch
from onnx import ModelProto

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.subgraph import list_ancestors
from nhle_onnx.lowering.module import lower_steps
from nhle_onnx.lowering.parity import measure_divergence
from nhle_onnx.runtime.session import open_session
from nhle_onnx.text import describe_node
from nhle_onnx.values.model import OnnxModel


def find_diverging_node(
    original: ModelProto,
    lowered: OnnxModel,
    source: str,
    output: str,
    inputs: npt.NDArray[np.generic],
    tolerance: float,
) -> str:
    """Return operator and name of the first node on the way to `output` whose result differs.

    `original` runs in ONNX Runtime on `inputs`, `lowered` in torch on the same inputs as float32.
    """
    nodes = list_ancestors(original.graph, (output,))
    module, names = lower_steps(lowered, source=source, outputs=[node.output[0] for node in nodes])
    exposed = copy_model(original)
    del exposed.graph.output[:]
    for name in names:
        exposed.graph.output.add().name = name
    expected = open_session(exposed, "cpu").native.run(list(names), {source: inputs})
    with torch.no_grad():
        computed = module(torch.from_numpy(inputs.astype(np.float32)))
    producers = {node.output[0]: node for node in nodes}
    for name, ours, theirs in zip(names, computed, expected, strict=True):
        if not measure_divergence(ours.detach().numpy(), theirs) <= tolerance:
            node = producers[name]
            return describe_node(node.op_type, node.name, node.output)
    return "no single node"
