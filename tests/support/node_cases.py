"""The `onnx` package's own backend node tests: an oracle that we did not write."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.lowering.module import LoweredModel, lower_model
from nhle_onnx.lowering.operators import OPERATORS, find_operator
from nhle_onnx.values.model import OnnxModel

Array = npt.NDArray[Any]

INAPPLICABLE = {
    "torch has no such arithmetic on unsigned integers of more than 8 bits": (
        *(
            f"test_{operator}_uint{bits}"
            for operator in (
                *("add", "div", "max", "min", "mod", "sub"),
                *("bitshift_left", "bitshift_right"),
                *("greater", "greater_equal", "less", "less_equal"),
            )
            for bits in (16, 32, 64)
        ),
        "test_bitwise_not_3d",
    ),
    "ONNX Runtime rounds the new extent before it aligns corners, and we follow it": (
        "test_resize_downsample_scales_cubic_align_corners",
        "test_resize_downsample_scales_linear_align_corners",
    ),
}
_REASONS = {name: reason for reason, names in INAPPLICABLE.items() for name in names}
_QUANTIZED = {row.op_type for row in OPERATORS if row.reads_integers}
_KINDS = "fiub"  # float, signed and unsigned integer, boolean


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One node with its inputs and the outputs that it must give, or why it is inapplicable."""

    name: str
    op_type: str
    model: ModelProto
    inputs: tuple[Array, ...] = ()
    outputs: tuple[Array, ...] = ()
    inapplicable: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case went: passed, refused, failed or inapplicable, and why not passed."""

    name: str
    op_type: str
    status: str
    reason: str = ""


@cache
def list_cases() -> tuple[Case, ...]:
    """Cases of one node whose operator is in our table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collected = collect_testcases(None)
    return tuple(
        _read_case(case.name, case.model, *case.data_sets[0])
        for case in collected
        if case.model and case.data_sets and _has_known_node(case.model)
    )


def judge_case(case: Case) -> Outcome:
    """Run a case."""
    if case.inapplicable:
        return Outcome(case.name, case.op_type, "inapplicable", case.inapplicable)
    try:
        run_case(case)
    except UnsupportedModelError as error:
        return Outcome(case.name, case.op_type, "refused", error.reason)
    except (AssertionError, RuntimeError, TypeError, ValueError, IndexError) as error:
        return Outcome(case.name, case.op_type, "failed", str(error).strip().splitlines()[0])
    return Outcome(case.name, case.op_type, "passed")


def run_case(case: Case) -> None:
    """Compare every output, in type and value; half precision within two of its steps.

    Quantized numbers are whole ones in float32, so that gradients pass.
    """
    for place, output in enumerate(case.outputs):
        module = lower_case(case, place).module
        computed = module(torch.from_numpy(case.inputs[0].copy())).detach().numpy()
        is_quantized = case.op_type in _QUANTIZED and output.dtype.kind in "iu"
        expected = output.astype(np.float32) if is_quantized else output
        if case.inputs[0].dtype == expected.dtype == np.float64:
            expected = expected.astype(np.float32)  # samples and scores are floats
        if computed.dtype != expected.dtype:
            message = f"{computed.dtype} instead of {expected.dtype}"
            raise AssertionError(message)
        tolerance = 2e-3 if expected.dtype == np.float16 else 1e-3
        np.testing.assert_allclose(
            computed, expected, rtol=0 if is_quantized else tolerance, atol=1e-5
        )


def lower_case(case: Case, place: int = 0) -> LoweredModel:
    """The module from the first input to one output; the other inputs are constants."""
    proto = ModelProto()
    proto.CopyFrom(case.model)
    for value, array in zip(list(proto.graph.input)[1:], case.inputs[1:], strict=True):
        proto.graph.initializer.append(numpy_helper.from_array(array, value.name))
        proto.graph.input.remove(value)
    model = OnnxModel(path=Path("case.onnx"), proto=proto, sha256="", size_bytes=0)
    graph = proto.graph
    return lower_model(model, source=graph.input[0].name, output=graph.output[place].name)


def _has_known_node(model: ModelProto) -> bool:
    node, opset = model.graph.node[0], model.opset_import[0].version
    is_alone = len(model.graph.node) == 1
    return is_alone and find_operator(node.domain, node.op_type, opset) is not None


def _read_case(
    name: str, model: ModelProto, inputs: Sequence[object], outputs: Sequence[object]
) -> Case:
    op_type, reason = model.graph.node[0].op_type, _REASONS.get(name, "")
    given, expected = _read_arrays(inputs), _read_arrays(outputs)
    if given is None or expected is None:
        reason = "neither numbers of NumPy's own types nor truth values"
    elif not given:
        reason = "no input to be known at run time"
    return Case(
        name=name,
        op_type=op_type,
        model=model,
        inputs=given or (),
        outputs=expected or (),
        inapplicable=reason,
    )


def _read_arrays(values: Sequence[object]) -> tuple[Array, ...] | None:
    """Inputs or outputs as arrays; None where one is a string, a sequence or of a rare type."""
    arrays = []
    for value in values:
        tensor = numpy_helper.to_array(value) if isinstance(value, TensorProto) else value
        if not isinstance(tensor, np.ndarray | np.generic):
            return None
        if tensor.dtype.kind not in _KINDS or tensor.dtype.isbuiltin != 1:
            return None
        arrays.append(np.array(tensor))
    return tuple(arrays)
