"""Graphs that fix their batch size, made to take any number of images for training."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from onnx import ModelProto, TensorProto, numpy_helper
from torch import Tensor, nn

from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.values.model import OnnxModel

_TOLERANCE = 1e-3  # of the largest number
_ROUNDED = 0.1


class InBatches(nn.Module):
    """A module from `size` images [size, ...] to several tensors, made to take any number: in one
    pass, through which each batch goes as if it were alone, or one batch after another.
    """

    def __init__(self, module: nn.Module, size: int, *, in_one_pass: bool) -> None:
        super().__init__()
        self.module = module
        self.size = size
        self.in_one_pass = in_one_pass

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Outputs, each [N, ...], of images [N, ...]; the first image fills the last batch."""
        missing = -len(images) % self.size
        filled = torch.cat([images, images[:1].expand(missing, *images.shape[1:])])
        batches = filled.unflatten(0, (-1, self.size))
        if self.in_one_pass:
            outputs = torch.vmap(self.module)(batches)
        else:
            parts = zip(*map(self.module, batches), strict=True)
            outputs = tuple(torch.stack(part) for part in parts)
        return tuple(output.flatten(0, 1)[: len(images)] for output in outputs)


def lower_for_any_batch(
    model: OnnxModel,
    lower: Callable[[OnnxModel], LoweredModel],
    *,
    source: str,
    shape: tuple[int, ...],
    size: int,
) -> LoweredModel:
    """What `lower` makes of a graph that takes `size` images of `shape` at once as its `source`.

    The graph as it is, if that takes more images; else with the batch size freed where it stands
    in a Reshape, as exporters write it; else `InBatches`, which is slower, and slowest where some
    operator does not take them in one pass.
    """
    images = _draw_images(3 * size, shape)
    lowered = lower(model)
    batch_by_batch = InBatches(lowered.module, size, in_one_pass=False)
    if _agree(batch_by_batch, lowered.module, images):
        return lowered
    free = replace(model, proto=free_reshapes(model.proto, source, size))
    freed = lower(free)
    if _agree(batch_by_batch, freed.module, images):
        return freed
    in_one_pass = InBatches(lowered.module, size, in_one_pass=True)
    # the same by definition, where it runs; but a last bit may round to another quantized step
    is_possible = _agree(batch_by_batch, in_one_pass, images, tolerance=_ROUNDED)
    return replace(lowered, module=in_one_pass if is_possible else batch_by_batch)


def _draw_images(count: int, shape: tuple[int, ...]) -> Tensor:
    """Noise, each time the same, that grows from image to image: of what they share, they differ
    in the mean and in the span.
    """
    noise = torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))
    return noise * torch.linspace(-1, 2, count).reshape(-1, *[1] * len(shape))


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
    tensors = GraphIndex(proto).tensors
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


def _agree(
    expected: nn.Module, module: nn.Module, images: Tensor, tolerance: float = _TOLERANCE
) -> bool:
    with torch.no_grad():
        try:
            reference, outputs = expected(images)[0], module(images)[0]
        except (RuntimeError, ValueError):
            return False
    if outputs.shape != reference.shape:
        return False
    largest = float(reference.abs().max())
    return torch.allclose(outputs, reference, rtol=tolerance, atol=tolerance * largest)
