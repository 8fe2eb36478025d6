"""Finding the classifier head: from the outputs back to the last learned layer."""

from collections.abc import Sequence

import onnx_graphsurgeon as gs

from nhle_onnx.errors import UnsupportedModelError, UsageError
from nhle_onnx.values.model import ClassifierHead, OnnxModel

# What may stand between the logits and the output without changing which class wins.
_MONOTONE = frozenset(
    {"Softmax", "LogSoftmax", "Sigmoid", "Identity", "Cast", "Reshape", "Flatten", "Squeeze"}
)
_MATRIX_RANK = 2
_MIN_CLASSES = 2


def find_head(model: OnnxModel, *, output: str | None = None) -> ClassifierHead:
    """The Gemm that computes the logits of the named output, or of the only one that has one.

    Raises UnsupportedModelError with the reason for each output where there is none, and
    UsageError where several outputs have one and none was named.
    """
    graph = gs.import_onnx(model.proto)
    outputs = [tensor for tensor in graph.outputs if output in (None, tensor.name)]
    if not outputs:
        known = ", ".join(tensor.name for tensor in graph.outputs)
        message = f"{model.path} has no output {output}"
        raise UsageError(message, remedy=f"Its outputs are: {known}.")
    found = [_trace(tensor) for tensor in outputs]
    heads = [head for head in found if isinstance(head, ClassifierHead)]
    if not heads:
        reasons = "; ".join(str(reason) for reason in found)
        message = f"{model.path} has no classifier head: {reasons}"
        raise UnsupportedModelError(
            message, remedy="The output must be the scores of classes, computed by a Gemm layer."
        )
    if len(heads) > 1:
        names = ", ".join(head.output for head in heads)
        message = f"{model.path} has several classifier heads: {names}"
        raise UsageError(message, remedy="Choose one with --output.")
    return heads[0]


def _trace(output: gs.Tensor) -> ClassifierHead | str:
    tensor = output
    while tensor.inputs and tensor.inputs[0].op in _MONOTONE:
        tensor = tensor.inputs[0].inputs[0]
    if not tensor.inputs:
        return f"{output.name} is not computed by any node"
    node = tensor.inputs[0]
    if node.op != "Gemm":
        return f"{output.name} comes from {node.op} {node.name}"
    return _read_gemm(node, output.name)


def _read_gemm(node: gs.Node, output: str) -> ClassifierHead | str:
    features = node.inputs[0]
    weight, bias = (_resolve_alias(tensor) for tensor in _pick(node.inputs[1:], 2))
    place = f"Gemm {node.name}"
    if not isinstance(weight, gs.Constant) or len(weight.shape) != _MATRIX_RANK:
        return f"{place} has no constant weight matrix"
    if node.attrs.get("transA", 0) or node.attrs.get("alpha", 1.0) == 0:
        return f"{place} is no plain layer: transA or alpha=0"
    class_axis = 0 if node.attrs.get("transB", 0) else 1
    num_classes, feature_dim = weight.shape[class_axis], weight.shape[1 - class_axis]
    if bias is not None and not _is_vector(bias, num_classes):
        return f"{place} has a bias that is not one constant a class"
    if num_classes < _MIN_CLASSES:
        return f"{place} has {num_classes} output, which is no choice between classes"
    return ClassifierHead(
        op=node.op,
        node=node.name,
        weight=weight.name,
        bias=bias.name if bias is not None else None,
        bias_scale=float(node.attrs.get("beta", 1.0)),
        class_axis=class_axis,
        num_classes=num_classes,
        feature_dim=feature_dim,
        features=features.name,
        logits=node.outputs[0].name,
        output=output,
    )


def _pick(inputs: Sequence[gs.Tensor], count: int) -> list[gs.Tensor | None]:
    present = [None if tensor.is_empty() else tensor for tensor in inputs]
    return [*present, *[None] * count][:count]


def _resolve_alias(tensor: gs.Tensor | None) -> gs.Tensor | None:
    """The constant behind Identity nodes, with which exporters share equal initializers."""
    source = tensor
    while source is not None and source.inputs and source.inputs[0].op == "Identity":
        source = source.inputs[0].inputs[0]
    return source if isinstance(source, gs.Constant) else tensor


def _is_vector(tensor: gs.Tensor, extent: int) -> bool:
    return isinstance(tensor, gs.Constant) and [n for n in tensor.shape if n != 1] == [extent]
