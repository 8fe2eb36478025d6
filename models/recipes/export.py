"""A network as an ONNX file, by either of torch's exporters."""

from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

_TRACES = "pkg.torch.onnx.stack_trace"  # holds paths of the machine that exported


def write_onnx(
    network: nn.Module,
    name: str,
    images: Tensor,
    outputs: tuple[str, ...],
    path: Path,
    *,
    use_dynamo: bool,
) -> None:
    """Write one ONNX file with a free batch size and no path of this machine in it."""
    network.eval()
    names: dict[str, Any] = {"input_names": [name], "output_names": list(outputs)}
    if not use_dynamo:
        axes = {each: {0: "batch"} for each in (name, *outputs)}
        torch.onnx.export(
            network, (images,), path, dynamo=False, opset_version=17, dynamic_axes=axes, **names
        )
        return
    free = {"images": {0: torch.export.Dim("batch")}}  # as the parameter of `forward` is called
    torch.onnx.export(
        network, (images,), path, dynamo=True, dynamic_shapes=free, external_data=False, **names
    )
    model = onnx.load(path)
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key != _TRACES]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)
