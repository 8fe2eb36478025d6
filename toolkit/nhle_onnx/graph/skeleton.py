"""A model without its weights' bytes, small enough to hand to native checks and shape inference."""

from collections.abc import Iterator

from google.protobuf.message import Message
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, inliner
from onnx import shape_inference as inference

from nhle_onnx.graph.subgraph import sort_nodes
from nhle_onnx.graph.tensor_sizes import count_elements
from nhle_onnx.graph.traversal import list_graphs
from nhle_onnx.graph.validation.tensors import list_shape_faults

_SMALL = 256  # elements: smaller constants, such as shapes and axes, are kept


def make_skeleton(model: ModelProto) -> ModelProto:
    """Return a copy with sorted nodes, in which each large weight is an input of its type and
    shape. Before IR version 4, all weights were inputs.
    """
    skeleton = ModelProto()
    _copy_fields(model, skeleton, except_for={"graph"})
    _copy_fields(model.graph, skeleton.graph, except_for={"node", "initializer"})
    declared = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if count_elements(tensor.dims) <= _SMALL:
            skeleton.graph.initializer.append(tensor)
        elif tensor.name not in declared:
            _declare(skeleton.graph, tensor.name, tensor)
    for node in sort_nodes(model.graph):
        constant = _read_large_constant(node)
        if constant is None:
            skeleton.graph.node.append(node)
        else:
            _declare(skeleton.graph, node.output[0], constant)
    return skeleton


def list_excesses(skeleton: ModelProto, max_elements: int) -> Iterator[str]:
    """List results that exceed the limit for one image, as far as constants tell. A size may also
    depend on the image's values. Changes `skeleton`: the shapes that it declares for its own
    results are dropped, as they are not trusted.
    """
    graph = skeleton.graph
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    for axis in (axis for value in graph.input for axis in value.type.tensor_type.shape.dim):
        axis.dim_value = max(axis.dim_value, 1)  # a value in place of a symbol
    try:
        written_out = inliner.inline_local_functions(skeleton) if skeleton.functions else skeleton
        inferred = inference.infer_shapes(written_out, data_prop=True)
    except (RuntimeError, ValueError, inference.InferenceError):
        return  # a model with operators that inference does not know may be valid
    for graph in list_graphs(inferred.graph):
        for value in (*graph.value_info, *graph.output):
            axes = value.type.tensor_type.shape.dim
            extents = [max(axis.dim_value, 1) for axis in axes]
            yield from list_shape_faults(f"the result {value.name}", extents, max_elements)


def _copy_fields(source: Message, target: Message, *, except_for: set[str]) -> None:
    for field, value in source.ListFields():
        if field.name in except_for:
            continue
        if field.message_type is None:
            setattr(target, field.name, value)
        else:
            getattr(target, field.name).MergeFrom(value)


def _read_large_constant(node: NodeProto) -> TensorProto | None:
    """Return the tensor of a Constant node, if it is too large to be kept."""
    if node.op_type != "Constant" or len(node.output) != 1:
        return None
    tensors = [attribute.t for attribute in node.attribute if attribute.name == "value"]
    return tensors[0] if len(tensors) == 1 and count_elements(tensors[0].dims) > _SMALL else None


def _declare(graph: GraphProto, name: str, tensor: TensorProto) -> None:
    value = helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims))
    graph.input.append(value)
