"""An ONNX graph as a torch module, with parameters keyed by the tensors' ONNX names.

Each operator has one function of plain torch code. Called with tensors it computes, which folds
constants; called with `torch.fx` proxies it records, which builds the module.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, fx, nn

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.dynamic_scales import finds_scales
from nhle_onnx.graph.element_types import get_element_type, get_range, is_quantized
from nhle_onnx.graph.head.real_values import with_real_values
from nhle_onnx.graph.packed import Packing, list_packings, pack, unpack
from nhle_onnx.graph.subgraph import list_ancestors
from nhle_onnx.graph.tensors import is_float, list_tensors
from nhle_onnx.hints import hint
from nhle_onnx.lowering.node import Node, Value, with_shape
from nhle_onnx.lowering.operators import Operator, find_operator
from nhle_onnx.lowering.ops.quantized import read_whole
from nhle_onnx.lowering.weights import check_operators, list_weights
from nhle_onnx.runtime.rounded_inputs import find_rounded_inputs
from nhle_onnx.values.model import ClassifierHead, OnnxModel

_NOT_IDENTIFIER = re.compile(r"\W")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredModel:
    """A module from the model's image input to one or several tensors of its graph.

    It is an fx.GraphModule, wrapped in another module where the graph fixes its batch size.
    `parameter_of` maps the ONNX name of each trainable tensor to its parameter. Parameters of
    tensors in `whole` are floats that are rounded to integers when read; those in `packings` are
    the numbers that a tensor's bytes hold, which `stored` has as they were.
    """

    module: nn.Module
    parameter_of: Mapping[str, nn.Parameter]
    whole: frozenset[str]
    packings: Mapping[str, Packing] = field(default_factory=dict)
    stored: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)

    def read_tensors(self, names: Iterable[str]) -> dict[str, npt.NDArray[np.float32]]:
        """The parameters' values by name, as the graph's tensors hold them."""
        return {name: self._read(name) for name in names}

    def _read(self, name: str) -> npt.NDArray[np.float32]:
        values: npt.NDArray[np.float32]
        values = self.parameter_of[name].detach().cpu().contiguous().numpy()
        packing = self.packings.get(name)
        if packing is None:
            return values
        numbers = np.rint(values).clip(*packing.limits).astype(np.uint8)
        return pack(numbers, packing.bits, self.stored[name]).astype(np.float32)


def lower_model(model: OnnxModel, *, source: str, output: str) -> LoweredModel:
    """Lower the graph between the input `source` and the tensor `output`.

    Raises UnsupportedModelError that names every operator that cannot be lowered.
    """
    check_operators(model, output)
    recording = _record(model, source, (output,))
    if not recording.outputs:
        message = f"{model.path}: the tensor {output} does not depend on the input {source}"
        raise UnsupportedModelError(message)
    return recording.finish(next(iter(recording.outputs.values())))


def lower_classifier(model: OnnxModel, *, source: str, head: ClassifierHead) -> LoweredModel:
    """Do as `lower_model`, for the head's scores and features, both as real numbers."""
    proto, head = with_real_values(model.proto, head)
    model = replace(model, proto=proto)
    check_operators(model, head.scores)
    recording = _record(model, source, (head.features, head.scores))
    outputs = recording.outputs
    if outputs.keys() != {head.features, head.scores}:
        message = f"{model.path}: the scores {head.scores} do not depend on the input {source}"
        raise UnsupportedModelError(
            message, remedy=hint("Name the output of the classes with {graph_output}.")
        )
    return recording.finish((outputs[head.scores], outputs[head.features]))


def lower_tensors(model: OnnxModel, *, source: str, outputs: Sequence[str]) -> LoweredModel:
    """Do as `lower_model`, for several tensors, which come as a tuple."""
    for output in outputs:
        check_operators(model, output)
    recording = _record(model, source, outputs)
    missing = [name for name in outputs if name not in recording.outputs]
    if missing:
        message = f"{model.path}: the tensor {missing[0]} does not depend on the input {source}"
        raise UnsupportedModelError(message)
    return recording.finish(tuple(recording.outputs[name] for name in outputs))


def lower_steps(
    model: OnnxModel, *, source: str, outputs: Sequence[str]
) -> tuple[nn.Module, tuple[str, ...]]:
    """Lower all of `outputs` that depend on the input, and return the module with their names."""
    recording = _record(model, source, outputs)
    module = recording.finish(tuple(recording.outputs.values())).module
    return module, tuple(recording.outputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    """A recorded graph, with the nodes of the requested outputs."""

    root: nn.Module
    graph: fx.Graph
    parameter_of: Mapping[str, nn.Parameter]
    whole: frozenset[str]
    packings: Mapping[str, Packing]
    stored: Mapping[str, npt.NDArray[np.uint8]]
    outputs: Mapping[str, fx.Node]

    def finish(self, result: fx.Node | tuple[fx.Node, ...]) -> LoweredModel:
        self.graph.output(result)
        self.graph.eliminate_dead_code()
        module = fx.GraphModule(self.root, self.graph, class_name="LoweredModel")
        parameter_of = MappingProxyType(dict(self.parameter_of))
        return LoweredModel(
            module=module, parameter_of=parameter_of, whole=self.whole,
            packings=self.packings, stored=self.stored,
        )  # fmt: skip


def _record(model: OnnxModel, source: str, outputs: Sequence[str]) -> _Recording:
    root = nn.Module()
    graph = fx.Graph()
    tracer = _make_tracer(root, graph)
    names = {
        name
        for output in outputs
        for name in list_weights(model.proto, model.opset, output, model.constants)
    }
    values: dict[str, Value | None] = {"": None}
    is_double = _is_double(model.proto, source)
    placeholder = fx.Proxy(graph.placeholder(_to_identifier(source)), tracer)
    values[source] = placeholder.double() if is_double else placeholder
    parameter_of: dict[str, nn.Parameter] = {}
    types: dict[str, int] = {}
    packings = list_packings(model.proto)
    for name, tensor in list_tensors(model.proto):
        if tensor.data_type == TensorProto.STRING:
            continue  # most models that hold text read it behind their scores
        numbers = _to_numbers(tensor, packings.get(name))
        values[name], types[name] = numbers, tensor.data_type
        if name in names:
            attribute = _to_free_attribute(root, name)
            parameter_of[name] = nn.Parameter(numbers if is_float(tensor) else numbers.float())
            root.register_parameter(attribute, parameter_of[name])
            weight = fx.Proxy(graph.get_attr(attribute), tracer)
            limits = packings[name].limits if name in packings else None
            read = weight if is_float(tensor) else _read_whole(weight, tensor, limits)
            values[name] = with_shape(read, numbers.shape)
    is_exact, blocks = finds_scales(model.proto), find_rounded_inputs(model.proto)
    for node in list_ancestors(model.proto.graph, outputs):
        if not values.keys() >= set(node.output):
            block = blocks.get(node.output[0], 0)
            _lower_node(node, model.opset, values, types, is_exact=is_exact, block=block)
    recorded = {name: value for name in outputs if isinstance(value := values[name], fx.Proxy)}
    return _Recording(
        root=root,
        graph=graph,
        parameter_of=parameter_of,
        whole=frozenset(name for name in parameter_of if is_quantized(types[name])),
        packings=packings,
        stored={
            name: numpy_helper.to_array(tensor)
            for name, tensor in list_tensors(model.proto)
            if name in packings
        },
        outputs={
            name: (_to_single(value) if is_double else value).node
            for name, value in recorded.items()
        },
    )


def _to_single(value: fx.Proxy) -> fx.Proxy:
    """What is computed in double precision, as floats; what has another type, as it is."""
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


def _to_numbers(tensor: TensorProto, packing: Packing | None) -> Tensor:
    """Convert a stored tensor, or the numbers that its bytes hold."""
    if packing is None:
        return _to_torch(tensor)
    rows = unpack(numpy_helper.to_array(tensor), packing.bits, packing.width)
    return torch.from_numpy(rows.astype(np.uint8))


def _read_whole(weight: fx.Proxy, tensor: TensorProto, limits: tuple[int, int] | None) -> Value:
    function: Callable[..., Value] = read_whole  # typed for tensors, but records proxies
    return function(weight, *(limits or get_range(tensor.data_type)))


def _lower_node(
    node: NodeProto,
    opset: int,
    values: dict[str, Value | None],
    types: Mapping[str, int],
    *,
    is_exact: bool,
    block: int,
) -> None:
    operator = find_operator(node.domain, node.op_type, opset)
    if operator is None:
        raise KeyError(f"{node.op_type} has no row in the operator table")
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    view = Node(
        name=node.name or f"the node that computes {node.output[0]}",
        op_type=node.op_type,
        opset=opset,
        attributes=attributes,
        num_outputs=len(node.output),
        types=tuple(types.get(name, 0) for name in node.input),
        is_exact=is_exact,
        rounding_block=block,
    )
    if not values.keys() >= set(node.input):
        raise view.refuse("that reads text")
    result = _load_function(operator)(view, *(values[name] for name in node.input))
    results = result if isinstance(result, tuple) else (result,)
    for name, item in zip(node.output, results, strict=False):
        values.setdefault(name, item)  # "" stays None: an output that is left out


def _load_function(operator: Operator) -> Callable[..., Value | tuple[Value, ...]]:
    family = import_module(f"nhle_onnx.lowering.ops.{operator.family}")
    function: Callable[..., Value | tuple[Value, ...]] = getattr(family, operator.function_name)
    return function


def _make_tracer(root: nn.Module, graph: fx.Graph) -> fx.Tracer:
    """Make a tracer that appends to `graph` and keeps constant tensors as buffers of `root`."""
    tracer = fx.Tracer()
    tracer.root, tracer.graph, tracer.tensor_attrs = root, graph, {}
    return tracer


def _to_identifier(name: str) -> str:
    identifier = _NOT_IDENTIFIER.sub("_", name)
    return f"_{identifier}" if not identifier or identifier[0].isdigit() else identifier


def _to_free_attribute(root: nn.Module, name: str) -> str:
    attribute = _to_identifier(name)
    while hasattr(root, attribute):
        attribute += "_"
    return attribute
