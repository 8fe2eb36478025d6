"""A model in trainable form, with a head of the attacker's choice."""

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from onnx import ModelProto
from torch import Tensor

from nhle_onnx.auditing.context import AuditContext, CannotRunError, read_answers
from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.head import Head
from nhle_onnx.lowering.batches import lower_for_any_batch
from nhle_onnx.lowering.module import LoweredModel, lower_classifier
from nhle_onnx.lowering.parity import check_parity
from nhle_onnx.lowering.precision import widen_model
from nhle_onnx.values.outcomes import Role

_COMPARED = 32  # samples on which the trainable form must answer as ONNX Runtime does
_IMAGE_RANK = 4


def lower_target(
    context: AuditContext, role: Role, proto: ModelProto, device: torch.device
) -> LoweredModel:
    """Lower `proto`, a form of a role's model. Raises CannotRunError where it cannot be trained."""
    try:
        lowered = _lower(context, role, proto)
    except UnsupportedModelError as error:
        raise CannotRunError(f"the {role} model cannot be trained: {error.reason}") from error
    module = lowered.module.to(device)
    # the same layout as `place_images`; torch's stubs lack this overload
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return lowered


def _lower(context: AuditContext, role: Role, proto: ModelProto) -> LoweredModel:
    target = context.targets[role]
    model = replace(target.model, proto=widen_model(proto))
    source = target.image_input.name
    lower = partial(lower_classifier, source=source, head=target.layout)
    if size := target.image_input.batch:
        shape = context.inputs.shape[1:]
        lowered = lower_for_any_batch(model, lower, source=source, shape=shape, size=size)
    else:
        lowered = lower(model)
    inputs = context.inputs[:_COMPARED]
    answers = read_answers(
        proto, target.layout, target.image_input, inputs,
        provider=context.provider, batch_size=context.batch_size,
    )  # fmt: skip
    tolerance = Head(proto, target.layout).tolerance
    check_parity(lambda images: lowered.module(images)[0], inputs, answers.scores, tolerance)
    return lowered


def place_images(images: npt.NDArray[np.float32], device: torch.device) -> Tensor:
    """Move model inputs to the device, in the layout that is fastest for deep convolutions."""
    placed = torch.from_numpy(images).to(device)
    if placed.ndim != _IMAGE_RANK:
        return placed
    return placed.contiguous(memory_format=torch.channels_last)
