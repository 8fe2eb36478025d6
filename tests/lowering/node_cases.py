"""The `onnx` package's own backend node tests, as models with one input."""

import warnings
from collections.abc import Iterator

import numpy as np
from onnx import ModelProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.case.test_case import TestCase

from nhle_onnx.lowering.operators import OPERATORS, find_operator

_KINDS = "fiub"  # float, signed and unsigned integer, boolean


def list_cases() -> Iterator[TestCase]:
    """Single-node cases of the operators in our table, on numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    known = {row.op_type for row in OPERATORS}
    for case in cases:
        node = case.model.graph.node[0]
        opset = case.model.opset_import[0].version
        if (
            len(case.model.graph.node) == 1
            and node.op_type in known
            and find_operator(node.domain, node.op_type, opset)
            and _has_plain_numbers(case)
        ):
            yield case


def make_constant_but_first(case: TestCase) -> tuple[ModelProto, np.ndarray, np.ndarray]:
    """A model whose first input is fed and whose others are initializers; input; output."""
    inputs, outputs = case.data_sets[0]
    model = ModelProto()
    model.CopyFrom(case.model)
    for value, array in zip(list(model.graph.input)[1:], inputs[1:], strict=True):
        model.graph.initializer.append(numpy_helper.from_array(array, value.name))
        model.graph.input.remove(value)
    return model, inputs[0], outputs[0]


def _has_plain_numbers(case: TestCase) -> bool:
    inputs, outputs = case.data_sets[0]
    return bool(inputs) and all(
        isinstance(array, np.ndarray) and array.dtype.kind in _KINDS
        for array in (*inputs, *outputs)
    )
