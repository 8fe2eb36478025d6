"""Tensors that lie: shapes that do not fit their bytes, sizes that no machine has."""

from collections.abc import Callable

import numpy as np
from onnx import ModelProto, SparseTensorProto, TensorProto, helper, numpy_helper

from support.hostile.case import INSPECT, MASK, Attempt, HostileFile, change, refuse

_LARGE = 2**40


@change
def _reshape(model: ModelProto, *extents: int) -> None:
    model.graph.initializer[0].dims[:] = extents


@change
def _retype(model: ModelProto, kind: int) -> None:
    model.graph.initializer[0].data_type = kind


@change
def _edit_first(model: ModelProto, edit: Callable[[TensorProto], None]) -> None:
    edit(model.graph.initializer[0])


def _cut(tensor: TensorProto) -> None:
    tensor.raw_data = tensor.raw_data[:-4]


def _lengthen(tensor: TensorProto) -> None:
    tensor.raw_data = tensor.raw_data + bytes(4)


def _empty(tensor: TensorProto) -> None:
    tensor.ClearField("raw_data")


def _hold_twice(tensor: TensorProto) -> None:
    tensor.float_data.extend(numpy_helper.to_array(tensor).ravel().tolist())


def _use_wrong_field(tensor: TensorProto) -> None:
    count = len(tensor.raw_data) // 4
    tensor.ClearField("raw_data")
    tensor.int64_data.extend([0] * count)


def _use_short_field(tensor: TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.float_data.extend([0.0] * 3)


@change
def _declare(model: ModelProto, *extents: int) -> None:
    axes = model.graph.input[0].type.tensor_type.shape.dim
    for axis, extent in zip(axes, extents, strict=True):
        axis.dim_value = extent


@change
def _declare_type(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = 99


@change
def _add_sparse(model: ModelProto) -> None:
    model.graph.sparse_initializer.append(
        SparseTensorProto(
            dims=[_LARGE],
            values=numpy_helper.from_array(np.ones(1, np.float32), "sparse"),
            indices=numpy_helper.from_array(np.zeros(1, np.int64)),
        )
    )


@change
def _hide_in_attribute(model: ModelProto) -> None:
    tensor = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[_LARGE])
    model.graph.node.insert(0, helper.make_node("Constant", [], ["unused"], value=tensor))


@change
def _annotate(model: ModelProto) -> None:
    annotation = model.graph.quantization_annotation.add(tensor_name="absent")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="absent")


@change
def _train(model: ModelProto) -> None:
    training = model.training_info.add()
    training.algorithm.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[_LARGE])


@change
def _fill(model: ModelProto, value: float) -> None:
    for tensor in model.graph.initializer:
        if tensor.name == "classifier.weight":
            numbers = numpy_helper.to_array(tensor).copy()
            numbers[0, 0] = value
            tensor.raw_data = numbers.tobytes()


def _poison(name: str, value: float) -> HostileFile:
    attempts = (
        Attempt(command=INSPECT, codes=(0,), says="classifier.weight"),
        Attempt(command=MASK, says="classifier.weight"),
    )
    build = _fill(value)
    return HostileFile(name=name, tries="is never wrong", build=build, attempts=attempts)


@change
def _hold_text(model: ModelProto, *, reads: bool) -> None:
    model.graph.initializer.add(name="text", data_type=TensorProto.STRING, string_data=[b"a"])
    if reads:
        first, image = model.graph.node[0], model.graph.input[0].name
        first.input[0] = "chosen"
        model.opset_import[0].version = 19
        model.graph.node.insert(0, helper.make_node("Equal", ["text", "text"], ["same"]))
        model.graph.node.insert(1, helper.make_node("Where", ["same", image, image], ["chosen"]))


CASES: tuple[HostileFile, ...] = (
    refuse("negative axis", "takes all memory", _reshape(-6, -1, 5, 5), "negative length"),
    refuse("axis of 2^62", "takes all memory", _reshape(2**62), "more than"),
    refuse("axes that wrap around", "takes no memory", _reshape(2**32, 2**32, 2**32), "more than"),
    refuse("too many axes", "fails in NumPy", _reshape(*[1] * 100), "100 axes"),
    refuse("zero elements", "hides its bytes", _reshape(0, 5), "but holds"),
    refuse("larger shape", "reads what is behind", _reshape(600, 5, 5), "but holds 600"),
    refuse("smaller shape", "hides bytes", _reshape(1, 5, 5), "but holds 600"),
    refuse("type 99", "is of no type", _retype(99), "the type 99"),
    refuse("type 0", "is of no type", _retype(0), "the type 0"),
    refuse("negative type", "is of no type", _retype(-1), "the type -1"),
    refuse("half the bytes", "reads what is behind", _retype(TensorProto.DOUBLE), "but holds 600"),
    refuse("text with bytes", "is not text", _retype(TensorProto.STRING), "but holds"),
    refuse("cut tensor", "reads what is behind", _edit_first(_cut), "but holds 596"),
    refuse("lengthened", "hides bytes", _edit_first(_lengthen), "but holds 604"),
    refuse("empty", "reads what is behind", _edit_first(_empty), "holds none"),
    refuse("two values", "shows one, uses the other", _edit_first(_hold_twice), "float_data and"),
    refuse("wrong field", "is of another type", _edit_first(_use_wrong_field), "int64_data"),
    refuse("short field", "reads what is behind", _edit_first(_use_short_field), "3 in float_data"),
    refuse("enormous input", "takes all memory", _declare(1, 1, 2**31, 2**31), "more than"),
    refuse("negative input", "takes all memory", _declare(1, 1, -28, -28), "negative length"),
    refuse("input of no type", "is of no type", _declare_type(), "the type 99"),
    refuse("sparse weight", "takes all memory", _add_sparse(), "more than"),
    refuse("constant of 2^40", "takes all memory", _hide_in_attribute(), "more than"),
    refuse("training of 2^40", "takes all memory", _train(), "more than"),
    HostileFile(
        name="text that nothing reads",
        tries="is not a number",
        build=_hold_text(reads=False),
        attempts=(
            Attempt(command=INSPECT, codes=(0,), says="can use nhle-cwm"),
            Attempt(command=MASK, codes=(6,)),
        ),
    ),
    HostileFile(
        name="text that a node reads",
        tries="is not a number",
        build=_hold_text(reads=True),
        attempts=(Attempt(command=INSPECT, codes=(0,), says="Equal that reads text"),),
    ),
    _poison("NaN in the head", float("nan")),
    _poison("infinity in the head", float("inf")),
    HostileFile(
        name="annotation of nothing",
        tries="is looked up",
        build=_annotate(),
        attempts=(Attempt(command=INSPECT, codes=(0,)), Attempt(command=MASK, codes=(0, 1, 6))),
    ),
)
