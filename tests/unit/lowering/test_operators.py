"""Operators against the `onnx` package's backend node tests, and other forms against ORT."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import ModelProto, TensorProto, defs, helper

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.lowering.module import lower_model
from nhle_onnx.lowering.operators import OPERATORS, Operator
from nhle_onnx.lowering.ops.linear import lay_out_channels_last
from nhle_onnx.values.model import OnnxModel
from support.graphs import make_model, make_node, run_model
from support.node_cases import INAPPLICABLE, Case, list_cases, lower_case, run_case

# Each refuses clearly what inference of a classifier does not have.
REFUSED = {
    r"batchnorm_\w+_training_mode": "BatchNormalization in training mode",
    r"training_dropout(?!_zero)": "Dropout in training mode",
    r"attention_\w*(past|qk_matmul|window(?!_default)|nonpad|padded_kv)": "Attention with",
}
LISTED = {name for names in INAPPLICABLE.values() for name in names}
OP_TYPES = sorted({row.op_type for row in OPERATORS if not row.domain})
FLAT = {"Hardmax", "EyeLike"}  # float outputs that no input moves
Cases = Mapping[str, Sequence[Case]]


@pytest.fixture(scope="module")
def cases() -> Cases:
    """Return each operator's cases. They are computed, for seconds, so not while collecting."""
    applicable = [case for case in list_cases() if not case.inapplicable]
    return {name: [case for case in applicable if case.op_type == name] for name in OP_TYPES}


def find_refusal(case: Case) -> str | None:
    found = (message for name, message in REFUSED.items() if re.match(f"test_{name}", case.name))
    return next(found, None)


@contextmanager
def name_case(case: Case) -> Iterator[None]:
    """Say which case failed."""
    try:
        yield
    except BaseException as error:
        error.add_note(case.name)
        raise


@pytest.mark.parametrize("op_type", OP_TYPES)
def test_nodes_compute_what_onnx_says(op_type: str, cases: Cases) -> None:
    for case in cases[op_type]:
        refusal = find_refusal(case)
        with name_case(case):
            if refusal:
                with pytest.raises(UnsupportedModelError, match=refusal):
                    run_case(case)
            else:
                run_case(case)


def test_listed_cases_do_not_pass() -> None:
    listed = [case for case in list_cases() if case.name in LISTED]
    assert {case.name for case in listed} == LISTED
    for case in listed:
        with name_case(case), pytest.raises((AssertionError, NotImplementedError)):
            run_case(case)


def test_gradients_flow(cases: Cases) -> None:
    firsts = [found[0] for name, found in cases.items() if found and name not in FLAT]
    floats = [case for case in firsts if case.inputs[0].dtype.kind == "f"]
    movable = [case for case in floats if case.inputs[0].dtype == case.outputs[0].dtype]
    assert len(movable) > 60
    for case in movable:
        with name_case(case):
            inputs = torch.from_numpy(case.inputs[0].copy()).requires_grad_()
            lower_case(case).module(inputs).sum().backward()
            assert inputs.grad is not None
            assert inputs.grad.shape == inputs.shape


def make_floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


IMAGE = make_floats(2, 4, 7, 9)
KERNEL = make_floats(6, 4, 3, 3)
CHANNEL = np.abs(make_floats(4)) + 0.5
WINDOW = {"kernel_shape": [3, 2], "strides": [2, 3]}
UNEVEN = {**WINDOW, "pads": [1, 0, 2, 1]}
# What today's forms of the package's cases leave out: operator, opset, attributes, inputs.
FORMS = [
    ("Clip", 7, {"min": -0.5, "max": 0.5}, [IMAGE]),
    ("Clip", 10, {"max": 0.5}, [IMAGE]),
    ("Concat", 7, {"axis": -3}, [IMAGE, IMAGE]),
    ("BatchNormalization", 7, {"epsilon": 0.1}, [IMAGE, CHANNEL, CHANNEL, CHANNEL, CHANNEL]),
    ("Dropout", 7, {"ratio": 0.3}, [IMAGE]),
    ("Hardmax", 11, {"axis": 2}, [IMAGE]),
    ("LogSoftmax", 11, {"axis": -2}, [IMAGE]),
    ("Softmax", 7, {}, [IMAGE]),
    ("Softmax", 11, {"axis": 0}, [IMAGE]),
    ("Pad", 7, {"pads": [0, 0, 1, -2, 0, 0, 2, 1], "value": 0.5}, [IMAGE]),
    ("Pad", 10, {"pads": [0, 0, 1, 0, 0, 0, 2, 1], "mode": "reflect"}, [IMAGE]),
    ("Pad", 13, {"mode": "edge"}, [IMAGE, np.array([1, 0, 1, 0, 0, 2, 2, 1])]),
    ("ReduceSum", 11, {"axes": [1, -1], "keepdims": 0}, [IMAGE]),
    ("ReduceMax", 13, {"axes": [2]}, [IMAGE]),
    ("ReduceL2", 17, {}, [IMAGE]),
    ("Slice", 9, {"starts": [1, -3], "ends": [4, 99], "axes": [1, 3]}, [IMAGE]),
    ("Slice", 13, {}, [IMAGE, np.array([-(2**63)]), np.array([-2]), np.array([2])]),
    ("Slice", 13, {}, [IMAGE, *map(np.array, ([2**63 - 1], [-(2**63)], [3], [-2]))]),
    ("Slice", 13, {}, [IMAGE, *map(np.array, ([0], [2**63 - 1], [3], [2**63 - 1]))]),
    ("Split", 7, {"axis": 1}, [IMAGE]),
    ("Split", 11, {"axis": -1, "split": [4, 5]}, [IMAGE]),
    ("Split", 18, {"axis": 2, "num_outputs": 2}, [IMAGE]),
    ("Squeeze", 11, {"axes": [1]}, [make_floats(2, 1, 3)]),
    ("Unsqueeze", 11, {"axes": [-1, 0]}, [IMAGE]),
    ("TopK", 7, {"k": 3, "axis": 1}, [IMAGE]),
    ("TopK", 11, {"axis": 2, "largest": 0}, [IMAGE, np.array([4])]),
    ("Upsample", 7, {"scales": [1.0, 1.0, 2.0, 3.0]}, [IMAGE]),
    ("Upsample", 9, {"mode": "linear"}, [IMAGE, np.array([1, 1, 2, 1.5], np.float32)]),
    ("Resize", 10, {}, [IMAGE, np.array([1, 1, 0.6, 2], np.float32)]),
    ("GroupNormalization", 18, {"num_groups": 2}, [IMAGE, CHANNEL[:2], CHANNEL[:2]]),
    ("PRelu", 9, {}, [IMAGE, make_floats(4, 1, 1)]),
    ("PRelu", 9, {}, [IMAGE, make_floats(9)]),
    ("GlobalLpPool", 7, {"p": 3}, [IMAGE]),
    ("LRN", 13, {"size": 3, "alpha": 0.5}, [make_floats(2, 9, 3, 3)]),
    ("Gemm", 7, {"alpha": 0.5, "beta": 2.0}, [make_floats(3, 4), make_floats(4, 5), CHANNEL[:1]]),
    ("Gemm", 11, {"transB": 1}, [make_floats(3, 4), make_floats(5, 4), make_floats(3, 1)]),
    ("Conv", 11, {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, [IMAGE, KERNEL]),
    ("Conv", 11, {"auto_pad": "SAME_LOWER", "strides": [2, 3]}, [IMAGE, KERNEL]),
    ("Conv", 11, {"auto_pad": "SAME_UPPER"}, [IMAGE, KERNEL[..., :2]]),
    ("Conv", 11, {"auto_pad": "VALID"}, [IMAGE, KERNEL]),
    ("Conv", 11, {"pads": [0, 1, 2, 1], "group": 2}, [IMAGE, KERNEL[:, :2], make_floats(6)]),
    ("ConvTranspose", 11, {"auto_pad": "SAME_LOWER", "strides": [2, 3]}, [IMAGE, KERNEL[:4]]),
    ("ConvTranspose", 11, {"pads": [0, 1, 2, 1]}, [IMAGE, KERNEL[:4], CHANNEL]),
    ("AveragePool", 7, {**UNEVEN, "count_include_pad": 1}, [IMAGE]),
    ("AveragePool", 10, {**UNEVEN, "ceil_mode": 1}, [IMAGE]),
    ("AveragePool", 10, {**WINDOW, "strides": [2, 2], "auto_pad": "SAME_LOWER"}, [IMAGE]),
    ("AveragePool", 19, {**UNEVEN, "dilations": [2, 2], "count_include_pad": 1}, [IMAGE]),
    ("MaxPool", 8, UNEVEN, [IMAGE]),
    ("MaxPool", 10, {**UNEVEN, "ceil_mode": 1, "dilations": [2, 1]}, [IMAGE]),
    ("MaxPool", 12, {**WINDOW, "pads": [1, 1, 1, 1], "ceil_mode": 1}, [IMAGE]),
    ("LpPool", 18, {**UNEVEN, "p": 3}, [IMAGE]),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("op_type", "opset", "attributes", "inputs"),
    FORMS,
    ids=[f"{op_type}-{opset}-{place}" for place, (op_type, opset, *_) in enumerate(FORMS)],
)
def test_form_as_onnxruntime_has_it(
    op_type: str, opset: int, attributes: dict[str, object], inputs: list[np.ndarray]
) -> None:
    outputs = {"Split": ["y", "z"], "TopK": ["y", "z"]}.get(op_type, ["y"])
    names = [f"input{place}" for place in range(len(inputs))]
    first, *others = zip(names, inputs, strict=True)
    node = helper.make_node(op_type, names, outputs, **attributes)
    model = make_model([node], dict([first]), dict.fromkeys(outputs), dict(others), opset)
    check_against_onnxruntime(model, inputs[0])


def check_against_onnxruntime(proto: ModelProto, inputs: np.ndarray) -> None:
    source = proto.graph.input[0].name
    model = OnnxModel(path=Path("form.onnx"), proto=proto, sha256="", size_bytes=0)
    for output, expected in zip(proto.graph.output, run_model(proto, inputs), strict=True):
        module = lower_model(model, source=source, output=output.name).module
        computed = module(torch.from_numpy(inputs)).detach().numpy()
        assert computed.dtype == expected.dtype
        np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-5)


def test_every_operator_has_a_case(cases: Cases) -> None:
    """Constant has no input; a model without it is rare. Sequences have their own tests, as has
    Microsoft's domain.
    """
    tested = {name for name in OP_TYPES if cases[name]} | {op_type for op_type, *_ in FORMS}
    assert {*OP_TYPES} - tested == {"Constant", "SplitToSequence", "SequenceAt"}
    assert len(OP_TYPES) >= 90
    assert sum(map(len, cases.values())) > 700


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.FLOAT16, TensorProto.BOOL])
def test_cast_as_onnxruntime_does(kind: int) -> None:
    model = make_model([make_node("Cast", "x", to=kind)], {"x": [6]}, {"y": None})
    inputs = np.array([-2.7, -0.5, 0.0, 0.49, 1.5, 300.2], np.float32)
    check_against_onnxruntime(model, inputs)


@pytest.mark.parametrize("row", OPERATORS, ids=lambda row: f"{row.op_type}-{row.since}")
def test_every_row_has_its_function(row: Operator) -> None:
    family = import_module(f"nhle_onnx.lowering.ops.{row.family}")
    assert callable(getattr(family, row.function_name))


def test_rows_start_where_onnx_has_the_operator() -> None:
    """No row reaches below its schema, and together they reach down to it (or to opset 7)."""
    first: dict[str, int] = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            first[schema.name] = min(schema.since_version, first.get(schema.name, 99))
    rows = sorted((row for row in OPERATORS if not row.domain), key=lambda row: -row.since)
    starts = {row.op_type: row.since for row in rows}
    assert {name: max(start, 7) for name, start in starts.items()} == {
        name: max(first[name], 7) for name in starts
    }


def test_rows_of_one_operator_do_not_overlap() -> None:
    for opset in range(7, 26):
        served = [(row.domain, row.op_type) for row in OPERATORS if row.serves(opset)]
        assert len(served) == len(set(served))


@pytest.mark.parametrize("shape", [(4, 3, 2, 2), (4, 3, 1, 1), (4, 1, 3, 3)])
def test_a_kernel_laid_out_is_not_copied(shape: tuple[int, ...]) -> None:
    kernel = torch.randn(shape)
    laid_out = lay_out_channels_last(kernel)
    assert laid_out.data_ptr() != kernel.data_ptr()
    assert lay_out_channels_last(laid_out) is laid_out
