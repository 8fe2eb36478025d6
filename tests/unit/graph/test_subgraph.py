"""A part of a graph computes what the whole one does."""

import numpy as np
import pytest
from onnx import numpy_helper

from nhle_onnx.graph.subgraph import expose_tensors
from support.fuzzing.control_flow import make_control_flow
from support.graphs import run_model


@pytest.mark.parametrize("brightness", [0.0, 1.0])
def test_what_branches_read_from_outside_is_kept(brightness: float) -> None:
    model = make_control_flow()
    images = np.random.default_rng(0).random((1, 1, 28, 28), np.float32) / 2 + brightness
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    (hidden,) = run_model(expose_tensors(model, "hidden"), images)
    scores = hidden @ weights["weight"].T + weights["bias"]
    np.testing.assert_allclose(scores, run_model(model, images)[0], rtol=1e-5)
