"""A product and a bias: MatMul, Add."""

from torch import Tensor, fx
from torch.nn import functional

from nhle_onnx.lowering.fusing.steps import Fused, Steps, in_both_orders

_MATRIX = 2


def fuse_linear(node: fx.Node, steps: Steps) -> Fused | None:
    """Fuse x · w + b, in either order of the sum, where b is stored and has one axis."""
    for product, bias in in_both_orders(steps.read(node, "add")):
        factors, tensor = steps.read_inner(product, "matmul"), steps.find_tensor(bias)
        if factors and tensor is not None and tensor.ndim == 1:
            return Fused(project, (*factors, bias))
    return None


def project(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Multiply by a weight [K, N] and add a bias [N]."""
    if weight.ndim == _MATRIX and weight.shape[1] == len(bias) and x.is_floating_point():
        return functional.linear(x, weight.T, bias)
    return x @ weight + bias
