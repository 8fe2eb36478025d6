"""Checks of the parsed file in pure Python, made before native code reads it."""

from collections.abc import Iterator

from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from nhle_onnx.graph.tensor_sizes import count_elements
from nhle_onnx.graph.traversal import walk_messages
from nhle_onnx.graph.validation.functions import count_nodes, list_function_faults
from nhle_onnx.graph.validation.graphs import list_graph_faults, list_main_faults
from nhle_onnx.graph.validation.tensors import list_tensor_faults
from nhle_onnx.graph.validation.texts import count_text, list_text_faults, list_texts

_MAX_PARTS = 2**21
_MAX_TEXT = 2**25  # bytes; it is copied several times, by some readers at four bytes a character
_MAX_NODES = 2**17  # the largest classifiers have a few thousand


def list_faults(model: ModelProto, max_elements: int) -> Iterator[str]:
    """Yield what is wrong with a model, each as the end of a sentence about its file.

    Take the first one only: some checks are safe only where those before them found nothing.
    `max_elements` limits the weights together, and each declared value.
    """
    elements = nodes = text = 0
    for count, (message, fields) in enumerate(walk_messages(model)):
        if count > _MAX_PARTS:
            yield f"has more than {_MAX_PARTS:,} parts"
        texts = list_texts(message, fields)
        yield from list_text_faults(texts)
        if (text := text + count_text(texts)) > _MAX_TEXT:
            limit = f"more than {_MAX_TEXT:,} bytes"
            yield f"has {limit} of text in its names, descriptions and metadata"
        yield from list_tensor_faults(message, max_elements)
        if isinstance(message, GraphProto):
            if len(message.node) > _MAX_NODES:  # before the search for cycles, which takes longer
                yield f"has {len(message.node):,} nodes: more than {_MAX_NODES:,}"
            yield from list_graph_faults(message)
        elements += count_elements(message.dims) if isinstance(message, TensorProto) else 0
        nodes += isinstance(message, NodeProto)
    if elements > max_elements:
        yield f"holds {elements:,} numbers: more than {max_elements:,}"
    yield from list_main_faults(model.graph)
    yield from list_function_faults(model)
    if (nodes := max(nodes, count_nodes(model))) > _MAX_NODES:
        yield f"has {nodes:,} nodes with functions expanded: more than {_MAX_NODES:,}"
