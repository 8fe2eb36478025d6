"""What a network's layers read, from the middle on."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto

from nhle_onnx.auditing.context import Target
from nhle_onnx.graph.subgraph import expose_tensors, list_ancestors
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.places import Provider

MOST_LAYERS = 4
_WIDEST = 1024  # numbers of an image; of a larger map, the mean over its positions
_MAP_RANK = 4  # [N, C, H, W]; of a lower rank, [N, positions, D]
_LAYERS = frozenset(
    {
        "Conv",
        "ConvInteger",
        "ConvTranspose",
        "Gemm",
        "MatMul",
        "MatMulInteger",
        "QLinearConv",
        "QLinearMatMul",
    }
)


class Layer(NamedTuple):
    """The tensor that a layer reads, and the layer's position among `total` of the network."""

    tensor: str
    position: int
    total: int


def list_late_layers(proto: ModelProto, source: str, features: Sequence[str]) -> tuple[Layer, ...]:
    """List layers between the middle and the head, at most a few and evenly spread; the last one is
    the last before the head.
    """
    nodes = list_ancestors(proto.graph, features)
    depending = {source}
    for node in nodes:
        if not depending.isdisjoint(node.input):
            depending.update(filter(None, node.output))
    read = [_read_by(node, depending) for node in nodes if node.op_type in _LAYERS]
    names = [name for name in dict.fromkeys(read) if name and name not in {source, *features}]
    late = range(len(names) // 2, len(names))
    chosen = np.unique(np.linspace(late.start, late.stop - 1, MOST_LAYERS).round().astype(int))
    return tuple(Layer(names[index], index + 2, len(names) + 1) for index in chosen if names)


def _read_by(node: NodeProto, depending: set[str]) -> str:
    """Return the one input that depends on the image; None for a product of two such inputs."""
    found = [name for name in node.input if name in depending]
    return found[0] if len(set(found)) == 1 else ""


def read_layers(
    target: Target,
    layers: Sequence[Layer],
    inputs: npt.NDArray[np.float32],
    *,
    provider: Provider,
    kernels: Kernels,
    batch_size: int,
) -> tuple[npt.NDArray[np.float32], ...]:
    """Return what each layer reads of images [N, ...], as features [N, D]."""
    names = [layer.tensor for layer in layers]
    session = open_session(expose_tensors(target.model.proto, *names), provider, kernels)
    found: list[list[npt.NDArray[np.float32]]] = [[] for _ in names]
    step = target.image_input.batch or batch_size
    for start in range(0, len(inputs), step):  # a batch at a time: maps are large
        batch = inputs[start : start + step]
        outputs = session.run_several(names, batch, target.image_input, step)
        for rows, output in zip(found, outputs, strict=True):
            rows.append(pool(output))
    return tuple(np.concatenate(rows) for rows in found)


def pool(activations: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return activations as [N, D]: unchanged, or their mean over positions if these are many."""
    shape = activations.shape[1:]
    if prod(shape) <= _WIDEST or len(shape) == 1:
        return activations.reshape(len(activations), -1)
    if activations.ndim == _MAP_RANK:
        pooled: npt.NDArray[np.float32] = activations.mean((2, 3))
        return pooled
    averaged: npt.NDArray[np.float32] = activations.mean(tuple(range(1, activations.ndim - 1)))
    return averaged
