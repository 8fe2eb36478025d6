"""Inputs beside the image, held at constants that the user gave.

Such a constant becomes an initializer with the input's name, which ONNX defines as the input's
default. The model's file does not hold it, so it is taken out before an edited model is written.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from math import prod

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

from nhle_onnx.errors import UsageError
from nhle_onnx.graph.copies import copy_model
from nhle_onnx.graph.element_types import get_element_type
from nhle_onnx.hints import hint
from nhle_onnx.values.model import OnnxModel

_WORDS = {"true": 1.0, "false": 0.0}


def list_inputs(proto: ModelProto) -> list[ValueInfoProto]:
    """List the graph's inputs, except those with a default, such as weights."""
    held = {tensor.name for tensor in proto.graph.initializer}
    held.update(sparse.values.name for sparse in proto.graph.sparse_initializer)
    return [value for value in proto.graph.input if value.name not in held]


def fix_inputs(model: OnnxModel, given: Sequence[str]) -> OnnxModel:
    """Return the model with inputs held at constants, each given as `NAME=VALUE`: one number for
    all its elements, or as many numbers as it has. Axes that are open get one element.
    """
    if not given:
        return model
    proto = copy_model(model.proto)
    declared = {value.name: value for value in list_inputs(proto)}
    for text in given:
        name, _, written = text.partition("=")
        if name not in declared:
            message = f"{model.path} has no input {name} to give a value for"
            raise UsageError(message, remedy=f"Its inputs are: {', '.join(declared)}.")
        proto.graph.initializer.append(_make_constant(declared[name], written))
    names = frozenset(text.partition("=")[0] for text in given)
    has_batch = any(_has_open_batch(declared[name]) for name in names)
    return replace(model, proto=proto, constants=names, has_constant_batch=has_batch)


def free_inputs(proto: ModelProto, constants: Collection[str]) -> ModelProto:
    """Return the model without the constants that `fix_inputs` added."""
    if not constants:
        return proto
    freed = copy_model(proto)
    kept = [tensor for tensor in proto.graph.initializer if tensor.name not in constants]
    del freed.graph.initializer[:]
    freed.graph.initializer.extend(kept)
    return freed


def _make_constant(value: ValueInfoProto, written: str) -> TensorProto:
    tensor = value.type.tensor_type
    if get_element_type(tensor.elem_type).torch is None:
        message = f"the input {value.name} holds no numbers that can be given"
        raise UsageError(message, remedy="Give the model with this input as an initializer.")
    shape = tuple(max(1, axis.dim_value) for axis in tensor.shape.dim)
    numbers = _parse(value.name, written)
    if numbers.size not in {1, prod(shape)}:
        message = f"the input {value.name} has {prod(shape)} elements, {list(shape)}, but "
        message += f"{numbers.size} numbers were given"
        raise UsageError(message, remedy="Give one number for all, or one for each.")
    filled = np.broadcast_to(numbers, (prod(shape),)).reshape(shape)
    kind = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return numpy_helper.from_array(filled.astype(kind), value.name)


def _parse(name: str, written: str) -> npt.NDArray[np.float64]:
    try:
        return np.array([float(_WORDS.get(part.lower(), part)) for part in written.split(",")])
    except ValueError as error:
        message = f"the input {name} cannot be given {written!r}: it needs numbers"
        raise UsageError(
            message, remedy=hint("Give {input=NAME=0.5}, or comma-separated numbers.")
        ) from error


def _has_open_batch(value: ValueInfoProto) -> bool:
    axes = value.type.tensor_type.shape.dim
    return bool(axes) and axes[0].dim_value <= 0
