"""Which tensors a scope may change. Reads the graph; needs no torch."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from onnx import ModelProto, NodeProto, helper

from nhle_onnx.graph.packed import measure_sizes
from nhle_onnx.graph.subgraph import list_ancestors
from nhle_onnx.hints import hint
from nhle_onnx.lowering.weights import list_left_out, list_weights
from nhle_onnx.text import format_percent
from nhle_onnx.values.model import ClassifierHead, OnnxModel
from nhle_onnx.values.request import Scope

_MOST = 0.95
_EARLIEST = 0.01  # of the weights before the head
_LAST_SHARE = 1 / 3  # of the weights of a network without stages
_STRIDED = frozenset({"Conv", "MaxPool", "AveragePool"})


def select_tensors(model: OnnxModel, head: ClassifierHead, scope: Scope) -> tuple[str, ...]:
    """List the names of the trained tensors within a scope, in order of use.

    `features`: all before the head, none behind it, without the earliest. `last-stage`: those after
    the last loss of resolution by a strided convolution or pooling; where these are nearly all, as
    in a ViT, the last third. `head`: the head's own. `all`: everything.
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
        return features[_count_earliest(model.proto, features) :]
    early = set(_list_early_weights(model.proto, model.opset, head))
    return _limit_stage(model.proto, features, [name for name in features if name not in early])


def _limit_stage(
    proto: ModelProto, features: Sequence[str], stage: Sequence[str]
) -> tuple[str, ...]:
    """Return the stage, or the last third of the features where it holds nearly all of these."""
    measured = measure_sizes(proto)
    total = sum(measured[name] for name in features)
    if sum(measured[name] for name in stage) <= (1 - _EARLIEST) * total:
        return tuple(stage)
    ends = accumulate(measured[name] for name in reversed(features))
    count = bisect_right([*ends], _LAST_SHARE * total)
    return tuple(features[-max(1, count) :])


def _count_earliest(proto: ModelProto, names: Sequence[str]) -> int:
    """Count the first tensors, which hold hardly any of the weights and cost most of a step."""
    measured = measure_sizes(proto)
    sizes = [measured[name] for name in names]
    return bisect_right([*accumulate(sizes)], _EARLIEST * sum(sizes))


def describe_share(
    model: OnnxModel, head: ClassifierHead, names: Sequence[str], scope: Scope
) -> tuple[str, ...]:
    """Note that only a part of the weights before the head is trained, and why."""
    trained, total = count_trained(model, head, names)
    if scope == "head" or trained >= _MOST * total:
        return ()
    why = hint("the others lie outside {scope}")
    others = _list_others(model, head)
    if others:
        name, operator = next(iter(others.items()))
        why = hint(f"{name} is read by {operator}, which holds no weight that training knows")
    share = format_percent(trained / total)
    part = f"{trained:,} of {total:,} weights before the head are trained ({share})"
    return (hint("{part}: {why}", part=part, why=why),)


def count_trained(model: OnnxModel, head: ClassifierHead, names: Sequence[str]) -> tuple[int, int]:
    """Count the weights before the head that are trained, and all of them."""
    own = _list_own(head)
    weights = {*list_weights(model.proto, model.opset, head.scores, model.constants)} - own
    sizes = measure_sizes(model.proto)
    trained, total = (
        sum(sizes[name] for name in chosen)
        for chosen in (weights & {*names}, weights | _list_others(model, head).keys())
    )
    return trained, total


def _list_own(head: ClassifierHead) -> set[str | None]:
    return {name for part in head.all_parts for name in (part.weight, part.bias)}


def _list_others(model: OnnxModel, head: ClassifierHead) -> dict[str, str]:
    """Weights before the head that training does not know, each with the operator that reads it."""
    left_out = [list_left_out(model.proto, model.opset, part.features) for part in head.all_parts]
    own = _list_own(head)
    return {name: node for found in left_out for name, node in found if name not in own}


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
