"""An ONNX node as operator functions see it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from torch import Tensor, fx

from nhle_onnx.errors import UnsupportedModelError
from nhle_onnx.hints import hint

P = ParamSpec("P")
R = TypeVar("R")
Value = Tensor | fx.Proxy  # known while lowering, or only at run time
_SHAPE = "nhle_onnx_shape"
Ints = Tensor | Sequence[int]  # known at run time, or while lowering


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node's name, operator, opset, attributes and number of outputs.

    Its inputs are passed separately, None where left out. `types` are the ONNX element types of
    inputs that the graph stores, 0 for others. `is_exact`: the last bit of the result matters, as
    the graph computes scales at run time. `rounding_block`: how many inputs of a product share a
    scale where ONNX Runtime rounds them to 8 bits, 0 where it does not.
    """

    name: str
    op_type: str
    opset: int
    attributes: Mapping[str, Any]
    num_outputs: int = 1
    types: tuple[int, ...] = ()
    is_exact: bool = False
    rounding_block: int = 0

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - ONNX attributes vary
        """Return an attribute's value, or its default."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def with_attributes(self, **attributes: Any) -> "Node":  # noqa: ANN401 - ONNX attributes vary
        """Return the node with additional attributes."""
        return replace(self, attributes={**self.attributes, **attributes})

    def refuse(self, what: str, *, remedy: str = "") -> UnsupportedModelError:
        """Return the error that says what about this node is not supported."""
        message = f"{self.name or 'a node'}: {self.op_type} {what} is not supported"
        return UnsupportedModelError(message, remedy=remedy or hint("Use {method=cwm}."))


def to_ints(value: Ints) -> list[int]:
    """Return known integers as a list."""
    if isinstance(value, Sequence):
        return list(value)
    return [int(item) for item in to_constant(value).reshape(-1).tolist()]


def to_floats(value: Tensor) -> list[float]:
    """Return a constant tensor of floats as a list."""
    return [float(item) for item in to_constant(value).reshape(-1).tolist()]


def to_ints_if_known(value: Tensor) -> Ints:
    """Return a constant tensor of integers as a tuple, and any other value unchanged."""
    return value if isinstance(value, fx.Proxy) else tuple(to_ints(value))


def to_constant(value: Value) -> Tensor:
    """Return the tensor, where the operator needs to know it while lowering."""
    if isinstance(value, Tensor):
        return value
    message = f"the tensor {value.node.name} must be constant for this model to be trained"
    raise UnsupportedModelError(message, remedy=hint("Simplify the graph, or use {method=cwm}."))


def find_shape(value: Value) -> tuple[int, ...] | None:
    """Return the shape of a constant or of a trained weight; None if known only at run time."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    shape: tuple[int, ...] | None = value.node.meta.get(_SHAPE)
    return shape


def is_computed(value: Value) -> bool:
    """Whether a value is known only at run time, and is not a parameter."""
    return isinstance(value, fx.Proxy) and value.node.op != "get_attr"


def with_shape(value: Value, shape: Sequence[int] | None) -> Value:
    """Return the value, with its shape noted if it would be known only at run time."""
    if isinstance(value, fx.Proxy) and shape is not None:
        value.node.meta[_SHAPE] = tuple(shape)
    return value


def unpack(values: Sequence[Tensor], count: int) -> tuple[Tensor, ...]:
    """Return the first `count` items of a sequence, which may be known only at run time."""
    return tuple(values[index] for index in range(count))


def recorded(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function one step of the lowered module if an argument is known only at run time."""

    @wraps(function)
    def compute_or_record(*args: P.args, **kwargs: P.kwargs) -> R:
        proxies = [argument for argument in args if isinstance(argument, fx.Proxy)]
        if not proxies:
            return function(*args, **kwargs)
        step = proxies[0].tracer.create_proxy("call_function", function, args, kwargs)
        return cast("R", step)  # stands for the result until the module runs

    return compute_or_record
