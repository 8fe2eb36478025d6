"""What an operator's function sees of an ONNX node."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, cast

from torch import Tensor, fx

from nhle_onnx.errors import UnsupportedModelError

P = ParamSpec("P")
Value = Tensor | fx.Proxy  # known while lowering, or only at run time


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Name, opset and attributes of a node; its inputs come beside it, None where left out."""

    name: str
    opset: int
    attributes: Mapping[str, Any]

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - ONNX attributes vary
        """An attribute's value, or its default."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value


def to_ints(value: Tensor) -> list[int]:
    """A constant tensor of integers as a list."""
    return [int(item) for item in to_constant(value).reshape(-1).tolist()]


def to_floats(value: Tensor) -> list[float]:
    """A constant tensor of floats as a list."""
    return [float(item) for item in to_constant(value).reshape(-1).tolist()]


def to_constant(value: Value) -> Tensor:
    """The tensor, where the operator's function needs to know it while lowering."""
    if isinstance(value, Tensor):
        return value
    message = f"the tensor {value.node.name} must be constant for this model to be trained"
    raise UnsupportedModelError(message, remedy="Simplify the graph, or use --method cwm.")


def recorded(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Make a function one step of the lowered module where an argument is known at run time."""

    @wraps(function)
    def compute_or_record(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        proxies = [argument for argument in args if isinstance(argument, fx.Proxy)]
        if not proxies:
            return function(*args, **kwargs)
        step = proxies[0].tracer.create_proxy("call_function", function, args, kwargs)
        return cast("Tensor", step)  # it stands in for one until the module runs

    return compute_or_record
