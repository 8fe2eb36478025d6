"""An ONNX graph as a torch module, with parameters keyed by the tensors' ONNX names.

Each operator has one function of plain torch code. Called with tensors it computes, which folds
constants; called with `torch.fx` proxies it records, which builds the module.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from torch import fx, nn

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.graph.head.real_values import with_real_values
from nhle_onnx.hints import hint
from nhle_onnx.lowering.recording import Packed, Recording, record
from nhle_onnx.lowering.weights import check_operators
from nhle_onnx.values.model import ClassifierHead, OnnxModel


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredModel:
    """A module from the model's image input to one or several tensors of its graph.

    It is an fx.GraphModule, wrapped in another module where the graph fixes its batch size.
    `parameter_of` maps the ONNX name of each trainable tensor to its parameter. Parameters of
    tensors in `quantized` are floats that are rounded to integers when read; those in `packed` are
    the numbers that a tensor's bytes hold.
    """

    module: nn.Module
    parameter_of: Mapping[str, nn.Parameter]
    quantized: frozenset[str]
    packed: Mapping[str, Packed] = field(default_factory=dict)

    def read_tensors(self, names: Iterable[str]) -> dict[str, npt.NDArray[np.float32]]:
        """Return the parameters' values by name, as the graph's tensors hold them."""
        return {name: self._read(name) for name in names}

    def _read(self, name: str) -> npt.NDArray[np.float32]:
        values: npt.NDArray[np.float32]
        values = self.parameter_of[name].detach().cpu().contiguous().numpy()
        return self.packed[name].pack(values) if name in self.packed else values


def lower_model(model: OnnxModel, *, source: str, output: str) -> LoweredModel:
    """Lower the graph between the input `source` and the tensor `output`.

    Raises UnsupportedModelError that names every operator that cannot be lowered.
    """
    recording = _record_all(model, source, (output,))
    return _finish(recording, recording.outputs[output])


def lower_classifier(model: OnnxModel, *, source: str, head: ClassifierHead) -> LoweredModel:
    """Do as `lower_model`, for the head's scores and features, both as real numbers."""
    proto, head = with_real_values(model.proto, head)
    model = replace(model, proto=proto)
    check_operators(model, head.scores)
    recording = record(model, source, (head.features, head.scores))
    outputs = recording.outputs
    if outputs.keys() != {head.features, head.scores}:
        message = f"{model.path}: the scores {head.scores} do not depend on the input {source}"
        raise UnsupportedModelError(
            message, remedy=hint("Name the output of the classes with {graph_output}.")
        )
    return _finish(recording, (outputs[head.scores], outputs[head.features]))


def lower_tensors(model: OnnxModel, *, source: str, outputs: Sequence[str]) -> LoweredModel:
    """Do as `lower_model`, for several tensors, which come as a tuple."""
    recording = _record_all(model, source, outputs)
    return _finish(recording, tuple(recording.outputs[name] for name in outputs))


def lower_steps(
    model: OnnxModel, *, source: str, outputs: Sequence[str]
) -> tuple[nn.Module, tuple[str, ...]]:
    """Lower all of `outputs` that depend on the input, and return the module with their names."""
    recording = record(model, source, outputs)
    module = recording.make_module(tuple(recording.outputs.values()))
    return module, tuple(recording.outputs)


def _record_all(model: OnnxModel, source: str, outputs: Sequence[str]) -> Recording:
    """Record `outputs`. Raises UnsupportedModelError if one of them cannot be computed."""
    for output in outputs:
        check_operators(model, output)
    recording = record(model, source, outputs)
    missing = [name for name in outputs if name not in recording.outputs]
    if missing:
        message = f"{model.path}: the tensor {missing[0]} does not depend on the input {source}"
        raise UnsupportedModelError(message)
    return recording


def _finish(recording: Recording, result: fx.Node | tuple[fx.Node, ...]) -> LoweredModel:
    return LoweredModel(
        module=recording.make_module(result),
        parameter_of=MappingProxyType(recording.parameter_of),
        quantized=recording.quantized,
        packed=recording.packed,
    )
