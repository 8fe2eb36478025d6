"""Local functions that never end, or that become much when they are written out."""

from collections.abc import Sequence

from onnx import FunctionProto, ModelProto, helper

from support.hostile.bombs import LARGE, add_up, amplify, make_integers
from support.hostile.case import Build, HostileFile, change, refuse

_DOMAIN = "hostile"


@change
def _define(model: ModelProto, functions: Sequence[FunctionProto]) -> None:
    model.functions.extend(functions)
    model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    call = helper.make_node(functions[-1].name, ["logits"], ["much"], domain=_DOMAIN)
    model.graph.node.append(call)
    add_up(model)


def _make_function(name: str, called: Sequence[str]) -> FunctionProto:
    """A function that calls others, one after the other."""
    values = ["x", *(f"v{index}" for index in range(1, len(called))), "y"]
    nodes = [
        helper.make_node(each, [values[index]], [values[index + 1]], domain=_DOMAIN)
        for index, each in enumerate(called)
    ] or [helper.make_node("Identity", ["x"], ["y"])]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_DOMAIN, 1)]
    return helper.make_function(_DOMAIN, name, ["x"], ["y"], nodes, opsets)


def _chain(depth: int, calls: int) -> list[FunctionProto]:
    """Each function calls the one before so many times."""
    made = [_make_function("f0", ())]
    made += [_make_function(f"f{index}", [f"f{index - 1}"] * calls) for index in range(1, depth)]
    return made


def _hide_in_function() -> Build:
    nodes = [
        make_integers(LARGE), helper.make_node("ConstantOfShape", ["size"], ["m"]),
        helper.make_node("ReduceSum", ["m"], ["s"]), helper.make_node("Add", ["s", "x"], ["y"]),
    ]  # fmt: skip
    opsets = [helper.make_opsetid("", 17)]
    return _define([helper.make_function(_DOMAIN, "f", ["x"], ["y"], nodes, opsets)])


CASES: tuple[HostileFile, ...] = (
    amplify("in a function", _hide_in_function()),
    refuse(
        "recursive function", "never ends", _define([_make_function("f", ["f"])]), "calls itself"
    ),
    refuse(
        "two recursive functions",
        "never ends",
        _define([_make_function("f", ["g"]), _make_function("g", ["f"])]),
        "calls itself",
    ),
    refuse(
        "function twice",
        "shows one, runs the other",
        _define([_make_function("f", []), _make_function("f", [])]),
        "twice",
    ),
    refuse("functions 1000 deep", "overflows the stack", _define(_chain(1000, 1)), "levels deep"),
    refuse(
        "functions that double",
        "never ends",
        _define(_chain(50, 2)),
        "functions expanded",
        is_dangerous=True,
    ),
)
