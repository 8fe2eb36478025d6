"""Scaled dot product attention."""

import torch
from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.node import Node, recorded

_PLAIN = {"left_window_size": -1, "right_window_size": -1, "qk_matmul_output_mode": 0}
_RANK_WITH_HEADS = 4


def attention(
    node: Node, query: Tensor, key: Tensor, value: Tensor, *inputs: Tensor | None
) -> Tensor:
    """Attention as in encoders, without the cache and the windows of text generation."""
    mask = inputs[0] if inputs else None
    unsupported = [name for name, default in _PLAIN.items() if node.get(name, default) != default]
    if unsupported or node.num_outputs > 1 or any(state is not None for state in inputs[1:]):
        raise node.refuse(f"with {', '.join(unsupported) or 'a cache or a second output'}")
    heads = (node.get("q_num_heads", 0), node.get("kv_num_heads", 0))
    factors = (node.get("scale"), node.get("softcap", 0.0))
    return attend(query, key, value, mask, heads, factors, bool(node.get("is_causal", 0)))


@recorded
def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    heads: tuple[int, int],
    factors: tuple[float | None, float],
    is_causal: bool,  # noqa: FBT001 - `recorded` passes arguments by position
) -> Tensor:
    """Attend; without an axis for heads, split the last axis into heads and merge it again."""
    has_heads = query.ndim == _RANK_WITH_HEADS
    if not has_heads:
        query, key, value = (
            x.unflatten(-1, (count, -1)).transpose(1, 2)
            for x, count in ((query, heads[0]), (key, heads[1]), (value, heads[1]))
        )
    mask = find_mask(query, key, mask, is_causal=is_causal)
    result = attend_by_heads(query, key, value, mask, *factors)
    return result if has_heads else result.transpose(1, 2).flatten(2)


def find_mask(query: Tensor, key: Tensor, mask: Tensor | None, *, is_causal: bool) -> Tensor | None:
    """Find what is added to the scores: a short mask hides the rest, a causal one the future."""
    if mask is not None:
        if mask.dtype == torch.bool:
            hidden = torch.zeros_like(mask, dtype=query.dtype)
            mask = hidden.masked_fill(~mask, -torch.inf)
        missing = key.shape[2] - mask.shape[-1]
        mask = functional.pad(mask, (0, missing), value=-torch.inf) if missing else mask
    if not is_causal:
        return mask
    later = query.new_full((query.shape[2], key.shape[2]), -torch.inf).triu(1)
    return later if mask is None else mask + later


def attend_by_heads(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float | None,
    softcap: float = 0.0,
) -> Tensor:
    """Attend: queries [..., H, T, D], keys and values [..., H or fewer, S, D].

    Attends in steps if there is a soft cap, at which scores saturate, and on a GPU, where torch's
    kernels add up gradients in an order that changes from run to run.
    """
    if softcap or not query.is_cpu:
        return attend_in_steps(query, key, value, mask, scale, softcap)
    return attend_at_once(query, key, value, mask, scale)


def attend_at_once(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None
) -> Tensor:
    """Attend by torch's own kernels, which take four axes."""
    has_batch = query.ndim == _RANK_WITH_HEADS
    if not has_batch:
        query, key, value = (x.unsqueeze(0) for x in (query, key, value))
    mixed: Tensor = functional.scaled_dot_product_attention(
        query, key, value, mask, scale=scale, enable_gqa=query.shape[1] != key.shape[1]
    )
    return mixed if has_batch else mixed.squeeze(0)


def attend_in_steps(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float | None,
    softcap: float = 0.0,
) -> Tensor:
    """Attend by products and a softmax."""
    groups = query.shape[-3] // key.shape[-3]
    if groups > 1:
        key, value = (x.repeat_interleave(groups, dim=-3) for x in (key, value))
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = (query * factor) @ key.transpose(-1, -2)
    scores = torch.tanh(scores / softcap) * softcap if softcap else scores
    return torch.softmax(scores if mask is None else scores + mask, -1) @ value
