"""How messages name the nodes and layers around a head."""

import onnx_graphsurgeon as gs

from nhle_onnx.text import describe_node
from nhle_onnx.values.model import ClassifierHead


def name_node(node: gs.Node) -> str:
    """Name a node for a message: by its outputs, where it has no name."""
    return describe_node(node.op, node.name, [tensor.name for tensor in node.outputs])


def name_layer(head: ClassifierHead) -> str:
    """Name a head's layer for a message: by its logits, where it has no name."""
    return describe_node(head.op, head.node, [head.logits])
