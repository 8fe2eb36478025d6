"""A graph's constants and nodes by name, looked up once."""

from functools import cached_property

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from nhle_onnx.graph.tensors import list_tensors


class GraphIndex:
    """The main graph of a model: its constant tensors, and the node that computes each value.

    Tensors and nodes are references into the model, so changes to them are visible here. After
    adding or removing any, make a new index.
    """

    def __init__(self, proto: ModelProto) -> None:
        self.proto = proto

    @cached_property
    def tensors(self) -> dict[str, TensorProto]:
        """Initializers, and tensors of Constant nodes, by the name that nodes use for them."""
        return dict(list_tensors(self.proto))

    @cached_property
    def producers(self) -> dict[str, NodeProto]:
        """The node that computes a value."""
        return {name: node for node in self.proto.graph.node for name in node.output if name}

    def read(self, name: str) -> npt.NDArray[np.generic]:
        """Read the values of a constant tensor. Raises KeyError for an unknown name."""
        values: npt.NDArray[np.generic] = numpy_helper.to_array(self.tensors[name])
        return values
