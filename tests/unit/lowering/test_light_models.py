"""The classifiers of the `onnx` package in `backend/test/data/light`: opset 9, IR 3, batch 1."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from nhle_onnx.graph.load import load_model
from nhle_onnx.graph.subgraph import list_ancestors
from nhle_onnx.lowering.module import lower_model

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
MODELS = sorted(path.stem for path in FOLDER.glob("*.onnx"))


def test_all_nine_are_there() -> None:
    assert len(MODELS) == 9


@pytest.mark.parametrize("name", MODELS)
def test_same_output_as_onnxruntime(name: str) -> None:
    model = load_model(FOLDER / f"{name}.onnx")
    weights = {tensor.name for tensor in model.proto.graph.initializer}
    source = next(value for value in model.proto.graph.input if value.name not in weights)
    output = model.proto.graph.output[0].name
    assert list_ancestors(model.proto.graph, (output,))
    shape = [axis.dim_value for axis in source.type.tensor_type.shape.dim]
    images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model.path, options, providers=["CPUExecutionProvider"])
    expected = session.run([output], {source.name: images})[0]
    with torch.no_grad():
        module = lower_model(model, source=source.name, output=output).module
        computed = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(computed, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
