"""Images sampled at points, and elements moved between space and depth."""

from torch import Tensor
from torch.nn import functional

from nhle_onnx.lowering.node import Node, recorded

_GRID_MODES = {"linear": "bilinear", "cubic": "bicubic"}  # torch's names


def grid_sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    """GridSample: torch's own; the modes have other names since opset 20."""
    mode = node.get("mode", "linear")
    return functional.grid_sample(
        x,
        grid,
        mode=_GRID_MODES.get(mode, mode),
        padding_mode=node.get("padding_mode", "zeros"),
        align_corners=bool(node.get("align_corners", 0)),
    )


def depth_to_space(node: Node, x: Tensor) -> Tensor:
    """DepthToSpace: channels hold blocks first (DCR) or depth first (CRD, as torch)."""
    size = node.get("blocksize")
    if node.get("mode", "DCR") == "DCR":
        x = swap_blocks(x, size * size)
    return functional.pixel_shuffle(x, size)


def space_to_depth(node: Node, x: Tensor) -> Tensor:
    """SpaceToDepth: channels hold blocks first (DCR) or depth first (CRD, as torch)."""
    x = functional.pixel_unshuffle(x, node.get("blocksize"))
    if node.get("mode", "DCR") == "DCR":
        return swap_depth(x, node.get("blocksize") ** 2)
    return x


@recorded
def swap_blocks(x: Tensor, blocks: int) -> Tensor:
    """Reorder channels from (block, depth) to (depth, block)."""
    swapped: Tensor = x.unflatten(1, (blocks, -1)).transpose(1, 2).flatten(1, 2)
    return swapped


@recorded
def swap_depth(x: Tensor, blocks: int) -> Tensor:
    """Reorder channels from (depth, block) to (block, depth)."""
    swapped: Tensor = x.unflatten(1, (-1, blocks)).transpose(1, 2).flatten(1, 2)
    return swapped
