"""What differs between two models: tensors by row, nodes by name, metadata by key."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from google.protobuf.message import Message
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.index_ranges import find_ranges
from nhle_onnx.values.difference import Kind, TensorDifference
from nhle_onnx.verification.changes import compare_models

Item = TypeVar("Item")


def list_tensor_differences(first: ModelProto, second: ModelProto) -> Iterator[TensorDifference]:
    """List every tensor that differs, in the order of the first model, added ones last."""
    changes = compare_models(first, second)
    old, new = GraphIndex(first).tensors, GraphIndex(second).tensors
    for name, tensor in old.items():
        if name not in new:
            yield _describe(tensor, name, "removed")
        elif name in changes.changed:
            yield _compare(name, tensor, new[name])
    for name in changes.added:
        yield _describe(new[name], name, "added")


def list_structure_differences(first: ModelProto, second: ModelProto) -> Iterator[str]:
    """List nodes, inputs, outputs, operator sets and versions that differ."""
    models = (first, second)
    nodes = [_index(model.graph.node, _name_node) for model in models]
    inputs = [_index(model.graph.input, lambda value: value.name) for model in models]
    outputs = [_index(model.graph.output, lambda value: value.name) for model in models]
    opsets = [_index(model.opset_import, lambda each: each.domain or "ai.onnx") for model in models]
    yield from _compare_items("node", *nodes)
    yield from _compare_items("input", *inputs)
    yield from _compare_items("output", *outputs)
    yield from _compare_items("operator set", *opsets)
    if first.ir_version != second.ir_version:
        yield f"IR version {first.ir_version} became {second.ir_version}"


def list_metadata_differences(first: ModelProto, second: ModelProto) -> Iterator[str]:
    """List metadata, producer and descriptions that differ."""
    entries = [_index(model.metadata_props, lambda entry: entry.key) for model in (first, second)]
    yield from _compare_items("metadata", *entries)
    for name in ("producer_name", "producer_version", "domain", "model_version", "doc_string"):
        if getattr(first, name) != getattr(second, name):
            yield f"{name} differs"
    if first.graph.name != second.graph.name:
        yield "the graph's name differs"


def _name_node(node: NodeProto) -> str:
    return node.name or (node.output[0] if node.output else node.op_type)


def _index(items: Iterable[Item], name: Callable[[Item], str]) -> dict[str, Item]:
    return {name(item): item for item in items}


def _compare_items(
    kind: str, old: Mapping[str, Message], new: Mapping[str, Message]
) -> Iterator[str]:
    for name, item in old.items():
        if name not in new:
            yield f"{kind} {name} is gone"
        elif _strip(item) != _strip(new[name]):
            yield f"{kind} {name} differs"
    for name in new.keys() - old.keys():
        yield f"{kind} {name} is new"


def _strip(item: Message) -> bytes:
    """Return an item without tensor values in its attributes, which are compared as tensors."""
    stripped = type(item)()
    stripped.CopyFrom(item)
    for attribute in getattr(stripped, "attribute", ()):
        if attribute.HasField("t"):
            for field in ("raw_data", "float_data", "int32_data"):
                attribute.t.ClearField(field)
    content: bytes = stripped.SerializeToString(deterministic=True)
    return content


def _describe(tensor: TensorProto, name: str, kind: Kind) -> TensorDifference:
    dtype = TensorProto.DataType.Name(tensor.data_type).lower()
    return TensorDifference(name=name, kind=kind, dtype=dtype, shape=tuple(tensor.dims))


def _compare(name: str, old: TensorProto, new: TensorProto) -> TensorDifference:
    if (old.data_type, list(old.dims)) != (new.data_type, list(new.dims)):
        return _describe(new, name, "another type or shape")
    was, now = (numpy_helper.to_array(tensor) for tensor in (old, new))
    rows = max(1, was.shape[0] if was.shape else 1)
    flat = [array.reshape(rows, -1) for array in (was, now)]
    differing = np.flatnonzero((flat[0] != flat[1]).any(1))
    return TensorDifference(
        name=name,
        kind="changed",
        dtype=TensorProto.DataType.Name(new.data_type).lower(),
        shape=tuple(new.dims),
        rows=find_ranges(map(int, differing)),
        row_count=rows,
        changed_rows=len(differing),
        largest=_measure(was, now),
    )


def _measure(was: npt.NDArray[np.generic], now: npt.NDArray[np.generic]) -> float | None:
    """Return the largest change of a number; None for text."""
    if was.dtype == np.object_:
        return None
    wide = np.complex128 if was.dtype.kind == "c" else np.float64
    with np.errstate(invalid="ignore"):
        change = np.abs(now.astype(wide) - was.astype(wide))
    return float(np.nan_to_num(change).max(initial=0.0))
