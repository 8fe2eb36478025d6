"""Recording an ONNX graph as a `torch.fx` graph, whose parameters are the graph's weights.

Nodes run once, in order: on tensors where all inputs are known, on proxies where they are not.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, fx, nn

from nhle_onnx.graph.dynamic_scales import computes_scales
from nhle_onnx.graph.element_types import get_element_type, get_range, is_quantized
from nhle_onnx.graph.index import GraphIndex
from nhle_onnx.graph.packed import Packing, list_packings, pack, unpack
from nhle_onnx.graph.subgraph import list_ancestors
from nhle_onnx.graph.tensors import is_float
from nhle_onnx.lowering.fusing.fuse import fuse
from nhle_onnx.lowering.node import Node, Value, with_shape
from nhle_onnx.lowering.operators import Operator, find_operator
from nhle_onnx.lowering.ops.quantized import round_weight
from nhle_onnx.lowering.shape_arithmetic import keep_on_cpu
from nhle_onnx.lowering.weights import list_weights
from nhle_onnx.runtime.rounded_inputs import find_rounded_inputs
from nhle_onnx.values.model import OnnxModel

_NOT_IDENTIFIER = re.compile(r"\W")


class Packed(NamedTuple):
    """How a tensor's bytes hold its numbers, and these bytes as the graph stores them."""

    packing: Packing
    stored: npt.NDArray[np.uint8]

    def unpack(self) -> Tensor:
        """Return the stored numbers."""
        rows = unpack(self.stored, self.packing.bits, self.packing.width)
        return torch.from_numpy(rows.astype(np.uint8))

    def pack(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the bytes of trained numbers."""
        numbers = np.rint(values).clip(*self.packing.limits).astype(np.uint8)
        return pack(numbers, self.packing.bits, self.stored).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recorded graph, and the nodes of those requested outputs that depend on the input.

    `is_exact`: the last bit of each step matters. `parameter_of` maps the ONNX name of each
    trainable tensor to its parameter. Tensors in `quantized` hold integers, those in `packed`
    numbers that share bytes.
    """

    tracer: fx.Tracer
    is_exact: bool
    parameter_of: Mapping[str, nn.Parameter]
    quantized: frozenset[str]
    packed: Mapping[str, Packed]
    outputs: Mapping[str, fx.Node]

    def make_module(self, result: fx.Node | tuple[fx.Node, ...]) -> fx.GraphModule:
        """Return the module that computes `result`."""
        graph = self.tracer.graph
        graph.output(result)
        graph.eliminate_dead_code()
        if not self.is_exact:
            fuse(graph, self.tracer.root)
        keep_on_cpu(graph, self.tracer.root)
        return fx.GraphModule(self.tracer.root, graph, class_name="LoweredModel")


def record(model: OnnxModel, source: str, outputs: Sequence[str]) -> Recording:
    """Record how `outputs` are computed from the input `source`."""
    tracer = _make_tracer()
    is_double = _is_double(model.proto, source)
    given = fx.Proxy(tracer.graph.placeholder(_to_identifier(source)), tracer)
    stored = _record_tensors(tracer, model, outputs)
    values: dict[str, Value | None] = {"": None, source: given.double() if is_double else given}
    values |= stored.values
    is_exact = computes_scales(model.proto)
    _record_nodes(model, outputs, values, stored.types, is_exact=is_exact)
    recorded = {name: value for name in outputs if isinstance(value := values[name], fx.Proxy)}
    types, parameter_of = stored.types, stored.parameter_of
    return Recording(
        tracer=tracer,
        is_exact=is_exact,
        parameter_of=parameter_of,
        quantized=frozenset(name for name in parameter_of if is_quantized(types[name])),
        packed=stored.packed,
        outputs={
            name: (_to_single(value) if is_double else value).node
            for name, value in recorded.items()
        },
    )


class _Stored(NamedTuple):
    """The tensors that a graph stores: values while recording, ONNX types, and parameters."""

    values: dict[str, Value]
    types: dict[str, int]
    parameter_of: dict[str, nn.Parameter]
    packed: dict[str, Packed]


def _record_tensors(tracer: fx.Tracer, model: OnnxModel, outputs: Sequence[str]) -> _Stored:
    """Read all stored tensors; make those parameters that are weights on the way to `outputs`."""
    tensors = {
        name: tensor
        for name, tensor in GraphIndex(model.proto).tensors.items()
        if tensor.data_type != TensorProto.STRING  # most models read text only behind their scores
    }
    packed = {
        name: Packed(packing, numpy_helper.to_array(tensors[name]))
        for name, packing in list_packings(model.proto).items()
    }
    numbers = {
        name: packed[name].unpack() if name in packed else _to_torch(tensor)
        for name, tensor in tensors.items()
    }
    weights = {
        name
        for output in outputs
        for name in list_weights(model.proto, model.opset, output, model.constants)
    }
    parameter_of = {
        name: nn.Parameter(numbers[name] if is_float(tensor) else numbers[name].float())
        for name, tensor in tensors.items()
        if name in weights
    }
    values: dict[str, Value] = {**numbers}
    for name, parameter in parameter_of.items():
        values[name] = _record_parameter(tracer, name, parameter, tensors[name], packed.get(name))
    types = {name: tensor.data_type for name, tensor in tensors.items()}
    return _Stored(values, types, parameter_of, packed)


def _record_parameter(
    tracer: fx.Tracer,
    name: str,
    parameter: nn.Parameter,
    tensor: TensorProto,
    packed: Packed | None,
) -> Value:
    """Record that a parameter is read and, if its tensor holds integers, rounded."""
    attribute = _to_free_attribute(tracer.root, name)
    tracer.root.register_parameter(attribute, parameter)
    weight = fx.Proxy(tracer.graph.get_attr(attribute), tracer)
    if is_float(tensor):
        return with_shape(weight, parameter.shape)
    limits = packed.packing.limits if packed else get_range(tensor.data_type)
    function: Callable[..., Value] = round_weight  # typed for tensors, but records proxies
    return with_shape(function(weight, *limits), parameter.shape)


def _record_nodes(
    model: OnnxModel,
    outputs: Sequence[str],
    values: dict[str, Value | None],
    types: Mapping[str, int],
    *,
    is_exact: bool,
) -> None:
    """Compute or record every node on the way to `outputs`, and add its results to `values`."""
    blocks = find_rounded_inputs(model.proto)
    for node in list_ancestors(model.proto.graph, outputs):
        if values.keys() >= set(node.output):
            continue
        operator = find_operator(node.domain, node.op_type, model.opset)
        if operator is None:
            raise KeyError(f"{node.op_type} has no row in the operator table")
        view = Node(
            name=node.name or f"the node that computes {node.output[0]}",
            op_type=node.op_type,
            opset=model.opset,
            attributes={item.name: helper.get_attribute_value(item) for item in node.attribute},
            num_outputs=len(node.output),
            types=tuple(types.get(name, 0) for name in node.input),
            is_exact=is_exact,
            rounding_block=blocks.get(node.output[0], 0),
        )
        _record_node(node, view, _load_function(operator), values)


def _record_node(
    node: NodeProto,
    view: Node,
    function: Callable[..., Value | tuple[Value, ...]],
    values: dict[str, Value | None],
) -> None:
    if not values.keys() >= set(node.input):
        raise view.refuse("that reads text")
    result = function(view, *(values[name] for name in node.input))
    results = result if isinstance(result, tuple) else (result,)
    for name, item in zip(node.output, results, strict=False):
        values.setdefault(name, item)  # "" stays None: an output that is left out


def _load_function(operator: Operator) -> Callable[..., Value | tuple[Value, ...]]:
    family = import_module(f"nhle_onnx.lowering.ops.{operator.family}")
    function: Callable[..., Value | tuple[Value, ...]] = getattr(family, operator.function_name)
    return function


def _to_single(value: fx.Proxy) -> fx.Proxy:
    """Record a `round_double` of a value."""
    single: fx.Proxy = value.tracer.create_proxy("call_function", round_double, (value,), {})
    return single


def round_double(tensor: Tensor) -> Tensor:
    """Return doubles as floats, and any other tensor as it is."""
    return tensor.float() if tensor.dtype == torch.float64 else tensor


def _is_double(proto: ModelProto, source: str) -> bool:
    """Whether the graph reads `source` in double precision; samples are floats."""
    kinds = {value.name: value.type.tensor_type.elem_type for value in proto.graph.input}
    return kinds.get(source) == TensorProto.DOUBLE


def _to_torch(tensor: TensorProto) -> Tensor:
    """Convert a stored tensor; types that torch lacks become the next wider one."""
    array = numpy_helper.to_array(tensor)
    kind = get_element_type(tensor.data_type).torch or array.dtype
    return torch.from_numpy(np.array(array, kind))  # a copy: torch wants writable memory


def _make_tracer() -> fx.Tracer:
    """Make a tracer with an empty graph; constant tensors become buffers of its root."""
    tracer = fx.Tracer()
    tracer.root, tracer.graph, tracer.tensor_attrs = nn.Module(), fx.Graph(), {}
    return tracer


def _to_identifier(name: str) -> str:
    identifier = _NOT_IDENTIFIER.sub("_", name)
    return f"_{identifier}" if not identifier or identifier[0].isdigit() else identifier


def _to_free_attribute(root: nn.Module, name: str) -> str:
    attribute = _to_identifier(name)
    while hasattr(root, attribute):
        attribute += "_"
    return attribute
