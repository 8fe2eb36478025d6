"""Edits of tensors: shapes, types, where their numbers are, and which; declared types."""

from random import Random

import numpy as np
from onnx import ModelProto, SparseTensorProto, TensorProto, TypeProto, numpy_helper

from support.fuzzing.draw import (
    FLOATS,
    INTEGERS,
    TEXTS,
    Edit,
    draw_tensor,
    list_parts,
    read_numbers,
    toss,
)

_KINDS = sorted(TensorProto.DataType.values())
_NUMERIC = "fiub"
_KEYS = ("location", "offset", "length", "checksum", "basepath")


def reshape(model: ModelProto, chance: Random) -> None:
    """Another shape, often one of as many elements."""
    tensor = draw_tensor(model, chance)
    extents = list(tensor.dims)
    match chance.randrange(5):
        case 0:
            chance.shuffle(extents)
        case 1:
            extents.insert(chance.randrange(len(extents) + 1), 1)
        case 2 if extents:
            extents[chance.randrange(len(extents))] = chance.choice(INTEGERS)
        case 3:
            extents = [int(np.prod(extents, dtype=object))] if extents else [1]
        case 4:
            extents = [chance.choice(INTEGERS) for _ in range(chance.choice((0, 1, 2, 70)))]
    tensor.dims[:] = [min(max(extent, -(2**63)), 2**63 - 1) for extent in extents]


def shrink(model: ModelProto, chance: Random) -> None:
    """Fewer rows, and the numbers to match: a layer that does not fit its neighbours."""
    tensor = draw_tensor(model, chance)
    if not tensor.dims or not tensor.raw_data or tensor.dims[0] < 1:
        return
    kept = chance.randrange(tensor.dims[0])
    row = len(tensor.raw_data) // tensor.dims[0]
    tensor.raw_data = tensor.raw_data[: kept * row]
    tensor.dims[0] = kept


def retype(model: ModelProto, chance: Random) -> None:
    """Another type for the same bytes."""
    draw_tensor(model, chance).data_type = chance.choice((*_KINDS, 99, -1))


def convert(model: ModelProto, chance: Random) -> None:
    """The same numbers in another type, which an operator may not take."""
    tensor = draw_tensor(model, chance)
    kinds = (np.float16, np.float32, np.float64, np.int8, np.uint8, np.int32, np.int64, np.bool_)
    kind = chance.choice(kinds)
    values = read_numbers(tensor)
    if values is not None and values.dtype.kind in _NUMERIC:
        with np.errstate(all="ignore"):
            tensor.CopyFrom(numpy_helper.from_array(values.astype(kind), tensor.name))


def cut(model: ModelProto, chance: Random) -> None:
    """Fewer or more bytes."""
    tensor = draw_tensor(model, chance)
    end = chance.choice((0, 1, len(tensor.raw_data) // 2, max(len(tensor.raw_data) - 1, 0)))
    tensor.raw_data = tensor.raw_data[:end] if toss(chance, 0.7) else tensor.raw_data + b"\0"


def use_fields(model: ModelProto, chance: Random) -> None:
    """Numbers in a field by type, beside the bytes or in their place."""
    tensor = draw_tensor(model, chance)
    count = min(int(np.prod(tensor.dims, dtype=object)), 10**5) + chance.choice((0, 0, 0, 1, -1))
    if toss(chance, 0.7):
        tensor.ClearField("raw_data")
    kind = chance.choice(("float_data", "int32_data", "int64_data", "double_data", "uint64_data"))
    getattr(tensor, kind).extend([1] * max(count, 0))


def send_outside(model: ModelProto, chance: Random) -> None:
    """Say that the numbers lie in another file."""
    tensor = draw_tensor(model, chance)
    tensor.data_location = TensorProto.EXTERNAL
    if toss(chance, 0.7):
        tensor.ClearField("raw_data")
    places = (*TEXTS, "model.onnx", "model.onnx.data", "./model.onnx", "out", "data.npz")
    numbers = [str(number) for number in (*INTEGERS, 2**64, "x", "0x10", "1_0", " 1")]
    for key in chance.sample(_KEYS, chance.randrange(len(_KEYS))):
        value = chance.choice(places) if key == "location" else chance.choice(numbers)
        tensor.external_data.add(key=key, value=value)


def fill(model: ModelProto, chance: Random) -> None:
    """The same number everywhere, or in one place: a scale of zero, a weight that is NaN."""
    tensor = draw_tensor(model, chance)
    values = read_numbers(tensor)
    if values is None or not values.size or values.dtype.kind not in _NUMERIC:
        return
    with np.errstate(all="ignore"):
        value = np.asarray(chance.choice(FLOATS)).astype(values.dtype)
    if toss(chance):
        values[...] = value
    else:
        values.flat[chance.randrange(values.size)] = value
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def make_sparse(model: ModelProto, chance: Random) -> None:
    """A sparse weight in the place of a whole one, or beside it."""
    graph = model.graph
    if not graph.initializer:
        return
    place = chance.randrange(len(graph.initializer))
    tensor = graph.initializer[place]
    values = numpy_helper.from_array(np.ones(1, np.float32), tensor.name)
    indices = numpy_helper.from_array(np.array([chance.choice(INTEGERS)], np.int64))
    sparse = SparseTensorProto(dims=tensor.dims, values=values, indices=indices)
    graph.sparse_initializer.append(sparse)
    if toss(chance, 0.7):
        del graph.initializer[place]


def declare(model: ModelProto, chance: Random) -> None:
    """Another shape or type for a declared value."""
    declared = chance.choice(list_parts(model, TypeProto.Tensor) or [TypeProto.Tensor()])
    if toss(chance, 0.3):
        declared.elem_type = chance.choice(_KINDS)
    axes = declared.shape.dim
    match chance.randrange(4):
        case 0 if axes:
            chance.choice(axes).dim_value = chance.choice(INTEGERS)
        case 1 if axes:
            chance.choice(axes).dim_param = chance.choice(TEXTS)
        case 2 if axes:
            del axes[chance.randrange(len(axes))]
        case _:
            axes.add(dim_value=chance.choice(INTEGERS))


EDITS: tuple[Edit, ...] = (
    reshape, reshape, shrink, retype, convert, cut, use_fields, send_outside, fill, fill,
    make_sparse, declare,
)  # fmt: skip
