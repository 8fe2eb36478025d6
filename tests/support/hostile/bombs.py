"""Graphs that make much of little: sizes that their constants say, and no machine has."""

from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from support.hostile.case import Build, HostileFile, change, refuse

LARGE = 2**40
_COUNT = numpy_helper.from_array(np.array([1.0], np.float32))


def make_integers(*values: int) -> NodeProto:
    """A constant `size`."""
    tensor = numpy_helper.from_array(np.array(values, np.int64))
    return helper.make_node("Constant", [], ["size"], value=tensor)


def _scalar(name: str, value: float) -> NodeProto:
    tensor = numpy_helper.from_array(np.array(value, np.float32))
    return helper.make_node("Constant", [], [name], value=tensor)


@change
def _add(model: ModelProto, *nodes: NodeProto) -> None:
    """More nodes, and their result `much` added up."""
    model.graph.node.extend(nodes)
    add_up(model)


def _mislabel(build: Build) -> Build:
    """The same, with a declaration that `much` is little."""

    def edit(folder: Path, model: ModelProto) -> None:
        value = helper.make_tensor_value_info("much", TensorProto.FLOAT, [1])
        model.graph.value_info.append(value)
        build(folder, model)

    return edit


def add_up(model: ModelProto) -> None:
    """The sum of `much`, as an output."""
    model.graph.node.append(helper.make_node("ReduceSum", ["much"], ["total"], keepdims=0))
    model.graph.output.append(helper.make_tensor_value_info("total", TensorProto.FLOAT, []))


def amplify(name: str, build: Build) -> HostileFile:
    """A model whose `much` is refused for its size."""
    return refuse(name, "takes all memory", build, "more than", is_dangerous=True)


def _hide_in_branch() -> Build:
    much = helper.make_tensor_value_info("m", TensorProto.FLOAT, [None])
    branch = helper.make_graph(
        [make_integers(LARGE), helper.make_node("ConstantOfShape", ["size"], ["m"])],
        "b",
        [],
        [much],
    )
    condition = helper.make_node(
        "Constant", [], ["c"], value=numpy_helper.from_array(np.array([True]))
    )
    node = helper.make_node("If", ["c"], ["much"], then_branch=branch, else_branch=branch)
    return _add(condition, node)


CASES: tuple[HostileFile, ...] = (
    amplify(
        "ConstantOfShape of 2^40",
        _add(
            make_integers(LARGE),
            helper.make_node("ConstantOfShape", ["size"], ["much"], value=_COUNT),
        ),
    ),
    amplify(
        "computed size",
        _add(
            make_integers(2**20),
            helper.make_node("Mul", ["size", "size"], ["square"]),
            helper.make_node("ConstantOfShape", ["square"], ["much"], value=_COUNT),
        ),
    ),
    amplify(
        "Expand",
        _add(
            make_integers(2**20, 2**20),
            _scalar("one", 1.0),
            helper.make_node("Expand", ["one", "size"], ["much"]),
        ),
    ),
    amplify(
        "Tile",
        _add(
            make_integers(2**40),
            helper.make_node("Constant", [], ["one"], value=_COUNT),
            helper.make_node("Tile", ["one", "size"], ["much"]),
        ),
    ),
    amplify(
        "Tile of scores",
        _add(make_integers(2**20, 2**20), helper.make_node("Tile", ["logits", "size"], ["much"])),
    ),
    amplify(
        "false label",
        _mislabel(
            _add(
                make_integers(LARGE),
                helper.make_node("ConstantOfShape", ["size"], ["much"], value=_COUNT),
            )
        ),
    ),
    amplify(
        "Pad",
        _add(make_integers(0, 0, 0, 2**40), helper.make_node("Pad", ["logits", "size"], ["much"])),
    ),
    amplify(
        "Range",
        _add(
            _scalar("start", 0.0),
            _scalar("limit", 1e12),
            _scalar("step", 1.0),
            helper.make_node("Range", ["start", "limit", "step"], ["much"]),
        ),
    ),
    amplify(
        "Resize",
        _add(
            make_integers(1, 1, 2**20, 2**20),
            helper.make_node("Resize", ["image", "", "", "size"], ["much"]),
        ),
    ),
    amplify(
        "RandomNormal", _add(helper.make_node("RandomNormal", [], ["much"], shape=[2**20, 2**20]))
    ),
    amplify(
        "convolution's pads",
        _add(
            helper.make_node(
                "MaxPool", ["image"], ["much"], kernel_shape=[2**20, 2**20], pads=[2**20 - 1] * 4
            )
        ),
    ),
    amplify("in a branch", _hide_in_branch()),
)
