"""Which tensors a scope may change. Reads the graph; needs no torch."""

from collections.abc import Sequence

from onnx import ModelProto, NodeProto, helper

from nhle_onnx.graph.subgraph import list_ancestors
from nhle_onnx.lowering.weights import list_weights
from nhle_onnx.values.model import ClassifierHead, OnnxModel
from nhle_onnx.values.request import Scope

_STRIDED = frozenset({"Conv", "MaxPool", "AveragePool"})


def select_tensors(model: OnnxModel, head: ClassifierHead, scope: Scope) -> tuple[str, ...]:
    """Names of the trained tensors within a scope, in order of use.

    `features`: all before the head, none behind it. `last-stage`: those after the last loss of
    resolution by a strided convolution or pooling. `head`: the head's own. `all`: everything.
    """
    own = {name for part in head.all_parts for name in (part.weight, part.bias)}
    weights = list_weights(model.proto, model.opset, head.scores, model.constants)
    if scope == "all":
        return weights
    if scope == "head":
        return tuple(name for name in weights if name in own)
    read = [list_weights(model.proto, model.opset, part.features) for part in head.all_parts]
    before = {name for names in read for name in names}
    features = tuple(name for name in weights if name in before and name not in own)
    if scope == "features":
        return features
    early = set(_list_early_weights(model.proto, model.opset, head))
    return tuple(name for name in features if name not in early)


def _list_early_weights(proto: ModelProto, opset: int, head: ClassifierHead) -> Sequence[str]:
    """Weights up to and including the last node that loses resolution."""
    nodes = list_ancestors(proto.graph, (head.scores,))
    strided = [node for node in nodes if _is_strided(node)]
    return list_weights(proto, opset, strided[-1].output[0]) if strided else ()


def _is_strided(node: NodeProto) -> bool:
    if node.op_type not in _STRIDED:
        return False
    strides = [item for item in node.attribute if item.name == "strides"]
    return any(stride > 1 for item in strides for stride in helper.get_attribute_value(item))
