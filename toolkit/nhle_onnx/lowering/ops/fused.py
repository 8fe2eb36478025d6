"""What ONNX Runtime's optimizer fuses into one node, in its own domain."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.node import Node, find_shape
from nhle_onnx.lowering.ops.attention import attend
from nhle_onnx.lowering.ops.linear import conv, gemm
from nhle_onnx.lowering.ops.normalization import normalize_layer

# each with the number of its parameters
_ACTIVATIONS: Mapping[str, tuple[Callable[..., Tensor], int]] = {
    "Relu": (functional.relu, 0),
    "Tanh": (torch.tanh, 0),
    "Sigmoid": (torch.sigmoid, 0),
    "LeakyRelu": (functional.leaky_relu, 1),
    "Clip": (torch.clamp, 2),
}
_QUICK = 1.702  # QuickGelu's alpha
_EPSILON = 1e-12
_SUM = 4  # outputs of a SkipLayerNormalization that gives the sum as well
_BATCHED = ("transBatchA", "transBatchB")


def gelu(_node: Node, x: Tensor) -> Tensor:
    """Gelu, exact."""
    return functional.gelu(x)


def bias_gelu(_node: Node, x: Tensor, bias: Tensor) -> Tensor:
    """BiasGelu."""
    return functional.gelu(x + bias)


def fast_gelu(_node: Node, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """FastGelu: by tanh."""
    return functional.gelu(x if bias is None else x + bias, approximate="tanh")


def quick_gelu(node: Node, x: Tensor) -> Tensor:
    """QuickGelu: by a sigmoid."""
    return x * torch.sigmoid(x * node.get("alpha", _QUICK))


def skip_layer_normalization(
    node: Node,
    x: Tensor,
    skip: Tensor,
    scale: Tensor,
    shift: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor | tuple[Tensor | None, ...]:
    """SkipLayerNormalization: normalizes a sum, which may be an output too."""
    total = x + skip if bias is None else x + skip + bias
    result = normalize_layer(total, scale, shift, -1, node.get("epsilon", _EPSILON))
    return (result, None, None, total) if node.num_outputs == _SUM else result


def fused_conv(
    node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None, added: Tensor | None = None
) -> Tensor:
    """FusedConv: a convolution, perhaps a sum, and an activation."""
    result = conv(node, x, weight, bias)
    return _activate(node, result if added is None else result + added)


def fused_gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """FusedGemm: a Gemm and an activation."""
    return _activate(node, gemm(node, a, b, c))


def _activate(node: Node, x: Tensor) -> Tensor:
    kind, factors = node.get("activation", ""), node.get("activation_params", [])
    if not kind:
        return x
    if kind not in _ACTIVATIONS or len(factors) != _ACTIVATIONS[kind][1]:
        raise node.refuse(f"with the activation {kind}")
    function, _ = _ACTIVATIONS[kind]
    return function(x, *factors)


def fused_matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """FusedMatMul: the product of operands, each perhaps transposed, times alpha."""
    if any(node.get(name, 0) for name in _BATCHED):
        raise node.refuse("with transposed batches")
    a = a.transpose(-1, -2) if node.get("transA", 0) else a
    b = b.transpose(-1, -2) if node.get("transB", 0) else b
    product: Tensor = torch.matmul(a, b) * node.get("alpha", 1.0)
    return product


def attention(
    node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None, *others: Tensor | None
) -> Tensor:
    """Attention as in encoders, with queries, keys and values from one product."""
    is_plain = not any(node.get(name, 0) for name in ("do_rotary", "qkv_hidden_sizes"))
    if not is_plain or node.num_outputs > 1 or any(other is not None for other in others):
        raise node.refuse("with a mask, a cache or rotary positions")
    product = torch.matmul(x, weight)
    parts = (product if bias is None else product + bias).chunk(3, dim=-1)
    return _attend(node, (parts[0], parts[1], parts[2]))


def multi_head_attention(
    node: Node,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    *others: Tensor | None,
) -> Tensor:
    """MultiHeadAttention: with a bias for queries, keys and values."""
    if key is None or value is None or node.num_outputs > 1:
        raise node.refuse("with packed inputs, or with a cache")
    if any(other is not None for other in others):
        raise node.refuse("with a mask or a cache")
    if bias is None:
        return _attend(node, (query, key, value))
    width = (find_shape(bias) or (0,))[0] // 3
    pieces = [bias[start : start + width] for start in (0, width, 2 * width)]
    return _attend(node, (query + pieces[0], key + pieces[1], value + pieces[2]))


def _attend(node: Node, parts: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    heads = node.get("num_heads", 1)
    factors = (node.get("scale") or None, 0.0)
    is_causal = bool(node.get("unidirectional", 0))
    return attend(*parts, None, (heads, heads), factors, is_causal)
