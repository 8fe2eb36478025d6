"""Graphs that fix their batch size, made to take any number of images for training."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from onnx import ModelProto, TensorProto, numpy_helper
from torch import Tensor, nn

from nhle_onnx.graph.tensors import list_tensors
from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.values.model import OnnxModel


class InBatches(nn.Module):
    """A module from `size` images [size, ...] to several tensors, made to take any number."""

    def __init__(self, module: nn.Module, size: int) -> None:
        super().__init__()
        self.module = module
        self.size = size

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Outputs, each [N, ...], of images [N, ...]; the first image fills the last batch."""
        missing = -len(images) % self.size
        filled = torch.cat([images, images[:1].expand(missing, *images.shape[1:])])
        outputs = [self.module(batch) for batch in filled.split(self.size)]
        return tuple(torch.cat(parts)[: len(images)] for parts in zip(*outputs, strict=True))


def lower_for_any_batch(
    model: OnnxModel,
    lower: Callable[[OnnxModel], LoweredModel],
    *,
    source: str,
    shape: tuple[int, ...],
    size: int,
) -> LoweredModel:
    """What `lower` makes of a graph whose input `source` is fixed to `size` images of `shape`.

    The graph as it is, if that takes more images; else with the batch size freed where it stands
    in a Reshape, as exporters write it; else `InBatches`, which is slower.
    """
    images = torch.linspace(-1, 1, 3 * size).reshape(-1, *[1] * len(shape)).expand(-1, *shape)
    lowered = lower(model)
    batched = InBatches(lowered.module, size)
    if _agree(batched, lowered.module, images):
        return lowered
    free = replace(model, proto=free_reshapes(model.proto, source, size))
    freed = lower(free)
    if _agree(batched, freed.module, images):
        return freed
    return replace(lowered, module=batched)


def free_reshapes(proto: ModelProto, source: str, size: int) -> ModelProto:
    """A copy in which Reshapes of what depends on `source` keep their first extent, not `size`."""
    freed = ModelProto()
    freed.CopyFrom(proto)
    for tensor in _list_target_shapes(freed, source):
        extents = np.array(numpy_helper.to_array(tensor))
        if extents.size and extents[0] == size:
            extents[0] = 0
            tensor.CopyFrom(numpy_helper.from_array(extents, tensor.name))
    return freed


def _list_target_shapes(proto: ModelProto, source: str) -> Iterator[TensorProto]:
    tensors = dict(list_tensors(proto))
    dependent = {source}
    for node in proto.graph.node:
        if dependent.isdisjoint(node.input):
            continue
        dependent.update(node.output)
        if node.op_type == "Reshape" and node.input[1] in tensors:
            kept = [attribute for attribute in node.attribute if attribute.name != "allowzero"]
            del node.attribute[:]
            node.attribute.extend(kept)
            yield tensors[node.input[1]]


def _agree(expected: nn.Module, module: nn.Module, images: Tensor) -> bool:
    with torch.no_grad():
        try:
            reference, outputs = expected(images)[0], module(images)[0]
        except (RuntimeError, ValueError):
            return False
    if outputs.shape != reference.shape:
        return False
    return torch.allclose(outputs, reference, rtol=1e-3, atol=1e-3 * float(reference.abs().max()))
