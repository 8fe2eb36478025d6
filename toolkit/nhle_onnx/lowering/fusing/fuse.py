"""The fusions. To add one, add a file beside this one and a row to `FUSIONS`."""

from collections.abc import Callable

from torch import fx, nn

from nhle_onnx.lowering.fusing.activation import fuse_gelu, fuse_silu
from nhle_onnx.lowering.fusing.attention import fuse_attention
from nhle_onnx.lowering.fusing.linear import fuse_linear
from nhle_onnx.lowering.fusing.steps import Fused, Steps

Fusion = Callable[[fx.Node, Steps], Fused | None]

FUSIONS: tuple[Fusion, ...] = (fuse_attention, fuse_linear, fuse_gelu, fuse_silu)


def fuse(graph: fx.Graph, root: nn.Module) -> None:
    """Replace steps that torch computes as one, in place. `root` holds the stored tensors."""
    steps = Steps(root)
    for find in FUSIONS:  # attention first: a mask that is added may look like a bias
        for node in graph.nodes:
            if found := find(node, steps):
                with graph.inserting_before(node):
                    node.replace_all_uses_with(graph.call_function(*found))
        graph.eliminate_dead_code()
