"""Graphs that fix their batch size, made to take any number of images for training."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from onnx import ModelProto, TensorProto, numpy_helper
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.lowering.module import LoweredModel
from nhle_onnx.values.model import OnnxModel

_TOLERANCE = 1e-3  # of the largest output
_STEP_TOLERANCE = 0.1  # a last bit may decide to which quantized step a number is rounded


class InBatches(nn.Module):
    """A module for batches of exactly `size` images, wrapped to take any number.

    Batches go through in one pass, each as if it were alone, or one after another.
    """

    def __init__(self, module: nn.Module, size: int, *, in_one_pass: bool) -> None:
        super().__init__()
        self.module = module
        self.size = size
        self.in_one_pass = in_one_pass

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return outputs [N, ...] for images [N, ...], filling up the last batch."""
        missing = -len(images) % self.size
        filled = torch.cat([images, images[:1].expand(missing, *images.shape[1:])])
        batches = filled.unflatten(0, (-1, self.size))
        if self.in_one_pass:
            with sdpa_kernel(SDPBackend.MATH):  # the others would take one batch after another
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
    """Lower a graph whose `source` takes `size` images of `shape`, for any number of images.

    Takes the graph as it is if it accepts more images; otherwise with the batch size freed in
    Reshapes, where exporters write it. If neither computes the same, wraps it in `InBatches`, which
    is slower, and slowest if an operator cannot take all batches in one pass.
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
    # it computes the same by definition, but not every operator can run in one pass
    is_possible = _agree(batch_by_batch, in_one_pass, images, tolerance=_STEP_TOLERANCE)
    return replace(lowered, module=in_one_pass if is_possible else batch_by_batch)


def _draw_images(count: int, shape: tuple[int, ...]) -> Tensor:
    """Draw the same noise each time, growing from image to image in mean and range."""
    noise = torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))
    return noise * torch.linspace(-1, 2, count).reshape(-1, *[1] * len(shape))


def free_reshapes(proto: ModelProto, source: str, size: int) -> ModelProto:
    """Return a copy whose Reshapes behind `source` keep their first extent instead of `size`."""
    freed = copy_model(proto)
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
    if not math.isfinite(largest):
        return False
    return torch.allclose(outputs, reference, rtol=tolerance, atol=tolerance * largest)
