"""What a quantized head needs so that one class can be the shadow of another.

Both then have the same integers, scales and zero points. So any kernel computes the same sums for
both, even one that saturates, and only their biases differ.
"""

import numpy as np

from nhle_onnx.graph.head.head import Head
from nhle_onnx.graph.head.row_scales import lay_by_row, list_class_scales
from nhle_onnx.graph.subgraph import list_ancestors
from nhle_onnx.graph.tensors import write_tensor
from nhle_onnx.graph.traversal import list_graphs


def adopt_scales(head: Head, source: int, target: int) -> tuple[str, ...]:
    """Give class `target` the scales and zero points of class `source`, in place.

    Returns the names of the tensors that changed. Tensors that other layers read as well stay as
    they are.
    """
    changed = []
    for name, axis in list_class_scales(head.index, head.layout):
        values = head.index.read(name).astype(np.float64)
        places = lay_by_row(values, axis, head.layout.num_classes)
        if np.array_equal(places[source], places[target]) or _serves_others(head, name):
            continue
        places[target] = places[source]
        write_tensor(head.index.tensors[name], values)
        changed.append(name)
    return tuple(changed)


def _serves_others(head: Head, name: str) -> bool:
    """Whether a node that reads a tensor stands before the head, or does not lead to it."""
    graph = head.proto.graph
    before, own = (
        list_ancestors(graph, [name]) for name in (head.layout.features, head.layout.logits)
    )
    readers = [node for each in list_graphs(graph) for node in each.node if name in node.input]
    return any(node in before or node not in own for node in readers)
