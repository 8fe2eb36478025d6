"""A part of a graph computes what the whole one does."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from nhle_onnx.graph.subgraph import expose_tensors
from nhle_onnx.graph.unused import remove_unused
from support.fuzzing.control_flow import make_control_flow
from support.graphs import make_model, make_node, run_model


@pytest.mark.parametrize("brightness", [0.0, 1.0])
def test_what_branches_read_from_outside_is_kept(brightness: float) -> None:
    model = make_control_flow()
    images = np.random.default_rng(0).random((1, 1, 28, 28), np.float32) / 2 + brightness
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    (hidden,) = run_model(expose_tensors(model, "hidden"), images)
    scores = hidden @ weights["weight"].T + weights["bias"]
    np.testing.assert_allclose(scores, run_model(model, images)[0], rtol=1e-5)


def test_a_graph_that_passes_on_what_it_is_given_stays() -> None:
    nodes = [make_node("Abs", "x", "z")]
    model = make_model(nodes, {"x": [1, 2]}, {"x": [1, 2]}, {"w": np.zeros(1, np.float32)})
    assert remove_unused(model) == ("w",)
    assert len(model.graph.node) == 1


def test_functions_that_nothing_calls_are_removed() -> None:
    """Those that others call stay, however often."""
    model = make_model([make_node("Outer", "x", domain="own")], {"x": [1, 2]}, {"y": [1, 2]})
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    for name, inner in (("Outer", "Inner"), ("Inner", "Abs"), ("Other", "Inner")):
        domain = "own" if inner == "Inner" else ""
        nodes = [
            make_node(inner, "a", "t", domain=domain),
            make_node(inner, "t", "b", domain=domain),
        ]
        model.functions.append(helper.make_function("own", name, ["a"], ["b"], nodes, opsets))
    model.opset_import.append(opsets[1])
    images = np.float32([[-1, 2]])
    assert remove_unused(model) == ("Other",)
    assert [each.name for each in model.functions] == ["Outer", "Inner"]
    np.testing.assert_array_equal(run_model(model, images)[0], [[1, 2]])
