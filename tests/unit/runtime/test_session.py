"""Outputs of a session come as they were asked for, however it hands them over."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from nhle_onnx.runtime.native import CUDA
from nhle_onnx.runtime.session import open_session
from nhle_onnx.values.preprocess import ImageInput
from support.shipped import LENET


@pytest.mark.parametrize("is_bound", [False, True], ids=["plain", "bound, as on a GPU"])
@pytest.mark.parametrize("asked", [(0,), (0, 1), (1, 0), (0, 0), (1, 0, 1)])
def test_outputs_come_as_they_were_asked_for(asked: tuple[int, ...], *, is_bound: bool) -> None:
    """A detector's boxes and scores may be one output, which is asked for twice."""
    model = onnx.load(LENET)
    last = model.graph.node[-1]
    names = [last.input[0], last.output[0]]
    model.graph.output.append(onnx.helper.make_tensor_value_info(names[0], 1, None))
    session = open_session(model, "cpu")
    images = np.random.default_rng(0).normal(size=(5, 1, 28, 28)).astype(np.float32)
    target = ImageInput(
        name=model.graph.input[0].name,
        dtype="float32",
        batch=None,
        channels=1,
        height=28,
        width=28,
        layout="NCHW",
    )
    expected = session.native.run([names[each] for each in asked], {target.name: images})
    session = replace(session, provider=CUDA) if is_bound else session
    found = session.run_several([names[each] for each in asked], images, target, 2)
    assert len(found) == len(asked)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
