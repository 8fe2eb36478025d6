"""A small classifier with what converters seldom write: branches, a loop, a function, text."""

import numpy as np
from onnx import ModelProto, numpy_helper, parser

_TEXT = """
<ir_version: 10, opset_import: ["" : 21, "local" : 1]>
classify (float[N, 1, 28, 28] image) => (float[N, 10] logits)
<float threshold = {0.5}, int64 times = {2}, bool always = {1}, int64[2] form = {0, 16}>
{
    pooled = AveragePool <kernel_shape = [7, 7], strides = [7, 7]> (image)
    mean = ReduceMean <keepdims = 0> (image)
    is_bright = Greater (mean, threshold)
    chosen = If (is_bright) <
        then_branch = darken () => (float[N, 1, 4, 4] darker) { darker = Neg (pooled) },
        else_branch = keep () => (float[N, 1, 4, 4] kept) { kept = Identity (pooled) }
    >
    flat = Reshape (chosen, form)
    looped = Loop (times, always, flat) <
        body = step (int64 i, bool go, float[N, 16] old) => (bool goes, float[N, 16] new) {
            goes = Identity (go)
            new = Relu (old)
        }
    >
    hidden = local.layer (looped, first_weight, first_bias)
    logits = Gemm <transB = 1> (hidden, weight, bias)
}
<domain: "local", opset_import: ["" : 21]>
layer (x, w, b) => (y)
{
    product = MatMul (x, w)
    sum = Add (product, b)
    y = Relu (sum)
}
"""
_SHAPES = {"first_weight": (16, 12), "first_bias": (12,), "weight": (10, 12), "bias": (10,)}


def make_control_flow(seed: int = 0) -> ModelProto:
    """10 classes of an image [N, 1, 28, 28], with weights drawn at random."""
    draw = np.random.default_rng(seed)
    model = parser.parse_model(_TEXT)
    for name, shape in _SHAPES.items():
        values = draw.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    return model
