"""Which constants compute features alone, and so hold nothing of a class's row."""

import onnx_graphsurgeon as gs
from onnx import ModelProto, NodeProto

from nhle_onnx.graph.head.find import trace_output
from nhle_onnx.graph.subgraph import list_ancestors, list_read
from nhle_onnx.values.model import ClassifierHead


def list_feature_tensors(proto: ModelProto) -> frozenset[str]:
    """List the values that only the features of some head need: no part of any head, as its rows,
    scales or biases, and nothing where no head is found.
    """
    found = [trace_output(tensor) for tensor in gs.import_onnx(proto).outputs]
    heads = [head for head in found if isinstance(head, ClassifierHead)]
    features = {id(node): node for head in heads for node in _list_nodes(proto, head.features)}
    own = {
        id(node): node
        for head in heads
        for node in _leave_out(_list_nodes(proto, head.output), _list_nodes(proto, head.features))
    }
    others = [node for node in proto.graph.node if id(node) not in features or id(node) in own]
    return _list_names(*(features[key] for key in features.keys() - own.keys())) - _list_names(
        *others, outputs=False
    )


def _list_nodes(proto: ModelProto, name: str) -> tuple[NodeProto, ...]:
    return list_ancestors(proto.graph, (name,))


def _leave_out(nodes: tuple[NodeProto, ...], others: tuple[NodeProto, ...]) -> list[NodeProto]:
    left_out = {id(node) for node in others}
    return [node for node in nodes if id(node) not in left_out]


def _list_names(*nodes: NodeProto, outputs: bool = True) -> frozenset[str]:
    read = {name for node in nodes for name in list_read(node)}
    return frozenset(read | {name for node in nodes if outputs for name in node.output})
