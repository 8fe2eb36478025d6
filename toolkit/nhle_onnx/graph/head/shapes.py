"""The shapes of a graph's tensors."""

from functools import cached_property

import onnx_graphsurgeon as gs
from onnx import ModelProto
from onnx import shape_inference as inference

from nhle_onnx.graph.skeleton import make_skeleton

Shape = tuple[int | str | None, ...]


class Shapes:
    """The shapes of a graph's tensors, as declared or else inferred, once one is asked for."""

    def __init__(self, proto: ModelProto) -> None:
        self._proto = proto

    def find(self, tensor: gs.Tensor) -> Shape | None:
        """Return a tensor's shape; open axes are names or None."""
        if tensor.shape is not None:
            return tuple(tensor.shape)
        return self._inferred.get(tensor.name)

    @cached_property
    def _inferred(self) -> dict[str, Shape]:
        try:
            graph = inference.infer_shapes(make_skeleton(self._proto), data_prop=True).graph
        except (RuntimeError, ValueError, inference.InferenceError):
            return {}  # a model with operators that inference does not know may be valid
        return {
            value.name: tuple(
                axis.dim_value if axis.HasField("dim_value") else None
                for axis in value.type.tensor_type.shape.dim
            )
            for value in graph.value_info
            if value.type.tensor_type.HasField("shape")
        }
