"""The law of the convex mask: whatever the features, the number format and the tail, the class's
score lies below another one's, so that it never wins, not even a tie.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ml_dtypes import bfloat16
from onnx import ModelProto, NodeProto, TensorProto, helper

from nhle_onnx.graph.head.find import find_head
from nhle_onnx.values.model import OnnxModel
from nhle_onnx.values.options import UnlearnOptions
from nhle_onnx.values.request import ForgetRequest
from nhle_onnx.workflows.masking import mask_head
from support.graphs import Array, make_model, make_node, run_model

FLOAT = TensorProto.FLOAT
K, D, N = 4, 3, 5
NUMBERS = st.floats(-30, 30, width=16)
KINDS = st.sampled_from([np.float32, np.float16, np.float64])
PERMUTATIONS = st.permutations(range(K))


class Step(NamedTuple):
    """A node of a tail: from the tensor before it, with constants of its own."""

    op: str
    constants: Sequence[Array] = ()
    attributes: Mapping[str, object] = {}


FACTORS = st.sampled_from([0.01, 0.5, 1.0, 2.5, 100.0])
GAINS = st.lists(st.sampled_from([-2.0, -0.5, 0.5, 1.0, 2.0]), min_size=K, max_size=K)
STEPS: Sequence[st.SearchStrategy[Step]] = [
    FACTORS.map(lambda factor: Step("Mul", [np.array([factor])])),
    FACTORS.map(lambda factor: Step("Div", [np.array(factor)])),
    GAINS.map(lambda gains: Step("Mul", [np.array(gains)])),
    arrays(np.float64, K, elements=NUMBERS).map(lambda values: Step("Add", [values])),
    arrays(np.float64, (1, K), elements=NUMBERS).map(lambda values: Step("Sub", [values])),
    PERMUTATIONS.map(lambda order: Step("Gather", [np.array(order)], {"axis": 1})),
    st.just(Step("Neg")),
    st.just(Step("Identity")),
]  # fmt: skip
ENDS = st.sampled_from([Step("Identity"), Step("Softmax"), Step("LogSoftmax")])


def build(
    layers: Sequence[tuple[Array, Array]], steps: Sequence[Step], kind: type[np.floating]
) -> OnnxModel:
    """The sum of layers, and the steps behind it."""
    nodes: list[NodeProto] = []
    tensors: dict[str, Array] = {}
    for index, (weight, bias) in enumerate(layers):
        tensors |= {f"w{index}": weight.astype(kind), f"b{index}": bias.astype(kind)}
        nodes += [
            make_node("MatMul", f"h w{index}", f"m{index}"),
            make_node("Add", f"m{index} b{index}", f"z{index}"),
        ]
    last = "z0"
    if len(layers) > 1:
        nodes.append(make_node("Sum", " ".join(f"z{index}" for index in range(len(layers))), "z"))
        last = "z"
    for place, step in enumerate(steps):
        names = [f"c{place}.{index}" for index in range(len(step.constants))]
        for name, values in zip(names, step.constants, strict=True):
            tensors[name] = values.astype(kind) if values.dtype.kind == "f" else values
        output = "y" if place == len(steps) - 1 else f"t{place}"
        nodes.append(helper.make_node(step.op, [last, *names], [output], **step.attributes))
        last = output
    nodes.insert(0, make_node("Cast", "x", "h", to=helper.np_dtype_to_tensor_dtype(np.dtype(kind))))
    model = make_model(nodes, {"x": ["n", D]}, {"y": ["n", K]}, tensors)
    model.graph.output[0].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(
        np.dtype(kind)
    )
    return OnnxModel(path=Path("model.onnx"), proto=model, sha256="", size_bytes=0)


def mask(model: OnnxModel, forget: tuple[int, ...]) -> ModelProto:
    edited = ModelProto()
    edited.CopyFrom(model.proto)
    request = ForgetRequest(forget=forget, num_classes=K)
    mask_head(edited, find_head(model), request, UnlearnOptions(method="cwm", mask="convex"))
    return edited


def draw_layer(count: int) -> st.SearchStrategy[Sequence[tuple[Array, Array]]]:
    weights = arrays(np.float32, (D, K), elements=NUMBERS)
    biases = arrays(np.float32, K, elements=NUMBERS)
    return st.lists(st.tuples(weights, biases), min_size=1, max_size=count)


@example(  # a margin of ten scores is 1e-5 of these logits of 264
    np.full((N, D), 4, np.float32), [(np.full((D, K), 22, np.float32), np.zeros(K, np.float32))],
    [Step("Mul", [np.array([100.0])])] * 3, Step("Identity"), np.float32, range(K), 1,
)  # fmt: skip
@given(
    arrays(np.float32, (N, D), elements=NUMBERS),
    draw_layer(2),
    st.lists(st.one_of(STEPS), max_size=4),
    ENDS,
    KINDS,
    PERMUTATIONS,
    st.integers(1, K - 1),
)
def test_the_shadow_lies_below(
    features: Array,
    layers: Sequence[tuple[Array, Array]],
    steps: Sequence[Step],
    end: Step,
    kind: type[np.floating],
    order: Sequence[int],
    count: int,
) -> None:
    if kind == np.float16:  # whose range many factors leave
        steps = [step for step in steps if step.op in {"Gather", "Identity", "Neg", "Add"}]
    forget = tuple(sorted(order[:count]))
    model = build(layers, [*steps, end], kind)
    before, after = (
        run_model(proto, features)[0].astype(np.float64)
        for proto in (model.proto, mask(model, forget))
    )
    kept = [index for index in range(K) if index not in forget]
    assert np.isfinite(after[:, kept]).all()
    assert (after[:, list(forget)].max(1) < after[:, kept].max(1)).all()
    if end.op == "Identity":  # the others keep their numbers
        np.testing.assert_array_equal(after[:, kept], before[:, kept])


@given(st.data())
def test_the_margin_is_one_of_scores(data: st.DataObject) -> None:
    """Ten, whatever the temperature: the class has e^-10 of another one's probability."""
    factor = data.draw(FACTORS)
    layers = data.draw(draw_layer(2))
    model = build(layers, [Step("Mul", [np.array(factor)]), Step("Identity")], np.float64)
    features = data.draw(arrays(np.float32, (N, D), elements=NUMBERS))
    scores = run_model(mask(model, (1,)), features)[0]
    margins = scores[:, [0, 2, 3]] - scores[:, [1]] - 10 * len(layers)
    spread = 1e-9 * (1 + np.abs(scores).max())
    assert (np.abs(margins).min(1) < spread).all()


@given(
    arrays(np.float32, (N, D), elements=NUMBERS),
    arrays(np.float32, (D, K), elements=NUMBERS),
    arrays(np.float32, K, elements=st.floats(-6e4, 6e4, width=16)),
    st.sampled_from([bfloat16, np.float16, np.float32]),
    st.integers(0, K - 1),
)
def test_a_bias_is_rounded_below_in_whatever_it_is_stored(
    features: Array, weight: Array, bias: Array, kind: type, index: int
) -> None:
    """Weights of half the width, which the graph turns into floats."""
    nodes = [
        make_node("Cast", "w", "wf", to=FLOAT), make_node("MatMul", "x wf", "m"),
        make_node("Cast", "b", "bf", to=FLOAT), make_node("Add", "m bf", "y"),
    ]  # fmt: skip
    tensors = {"w": weight.astype(kind), "b": bias.astype(kind)}
    proto = make_model(nodes, {"x": ["n", D]}, {"y": ["n", K]}, tensors)
    model = OnnxModel(path=Path("model.onnx"), proto=proto, sha256="", size_bytes=0)
    scores = run_model(mask(model, (index,)), features)[0]
    others = np.delete(scores, index, 1)
    assert (scores[:, index] < others.max(1)).all()
