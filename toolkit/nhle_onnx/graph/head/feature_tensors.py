"""Which constants serve features alone, and so hold nothing of a class's row."""

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto

from nhle_onnx.graph.head.find import list_heads
from nhle_onnx.graph.subgraph import list_ancestors, list_read
from nhle_onnx.values.model import ClassifierHead


def list_feature_tensors(proto: ModelProto) -> frozenset[str]:
    """List the constants and values that only the features of heads depend on, never a head's own
    rows, scales or biases. Without a head, the list is empty.
    """
    heads = list_heads(proto)
    features = {id(node): node for head in heads for node in _list_features(proto, head)}
    own = {
        id(node): node
        for head in heads
        for node in _leave_out(
            list_ancestors(proto.graph, (head.output,)), _list_features(proto, head)
        )
    }
    others = [node for node in proto.graph.node if id(node) not in features or id(node) in own]
    return _list_names(*(features[key] for key in features.keys() - own.keys())) - _list_names(
        *others, outputs=False
    )


def _list_features(proto: ModelProto, head: ClassifierHead) -> tuple[NodeProto, ...]:
    return list_ancestors(proto.graph, [part.features for part in head.all_parts])


def _leave_out(nodes: tuple[NodeProto, ...], others: tuple[NodeProto, ...]) -> list[NodeProto]:
    left_out = {id(node) for node in others}
    return [node for node in nodes if id(node) not in left_out]


def _list_names(*nodes: NodeProto, outputs: bool = True) -> frozenset[str]:
    read = {name for node in nodes for name in list_read(node)}
    return frozenset(read | {name for node in nodes if outputs for name in node.output})


def average_features(
    features: npt.NDArray[np.float32], layout: ClassifierHead
) -> npt.NDArray[np.float32]:
    """Return features of any rank as [N, D], by their mean over a map or over positions."""
    if "Conv" in layout.op or layout.logits_axis != -1:
        pooled: npt.NDArray[np.float32] = features.reshape(
            len(features), layout.feature_dim, -1
        ).mean(2)
        return pooled
    averaged: npt.NDArray[np.float32] = features.reshape(
        len(features), -1, layout.feature_dim
    ).mean(1)
    return averaged
