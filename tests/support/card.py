"""A second device for machines without a GPU. It computes on the CPU and, like a GPU, refuses an
operator whose tensors are not all on it.
"""

# ruff: noqa: ANN401 - torch hands on values of any type

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any, Self
from unittest import mock

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

CARD = torch.device("lazy", 0)  # a device that torch knows, for which no build computes
_MOVES = frozenset({"_to_copy", "copy_"})
_INDEXING = frozenset({"index", "index_put", "index_put_"})  # by indices that may be on the CPU


class CardTensor(Tensor):
    """A tensor on the card: one of the CPU that says otherwise."""

    held: Tensor

    @staticmethod
    def __new__(cls: type[Self], held: Tensor) -> Self:
        made: Self = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=CARD,
        )
        made.held = held
        return made

    def __init__(self, held: Tensor) -> None:
        """Torch's own `__init__` takes no tensor."""

    def __getitem__(self, index: Any) -> Tensor:
        return super().__getitem__(_read_lists(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_read_lists(index), value)

    def tolist(self) -> Any:
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: OpOverload, _types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(function, args, kwargs or {})


class _Dispatch(TorchDispatchMode):
    """Sees also what makes a tensor on the card from none."""

    def __torch_dispatch__(
        self, function: OpOverload, _types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(function, args, kwargs or {})


@contextmanager
def card() -> Iterator[torch.device]:
    """Give the device, on which optimizers may fuse their steps."""
    torch.__future__.set_swap_module_params_on_conversion(True)  # as on a GPU, they stay the same
    check = "_device_dtype_check_for_fused"
    optimizers = [import_module(f"torch.optim.{name}") for name in ("adam", "sgd")]
    try:
        with ExitStack() as stack:
            stack.enter_context(_Dispatch())  # type: ignore[no-untyped-call]
            for optimizer in optimizers:
                stack.enter_context(mock.patch.object(optimizer, check))
            yield CARD
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


def _read_lists(index: Any) -> Any:
    """Torch would place the list of an index on the device."""
    if isinstance(index, tuple):
        return tuple(map(_read_lists, index))
    return torch.tensor(index) if isinstance(index, list) else index


def _run(function: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    name = function._schema.name.removeprefix("aten::")
    given, shape = _pytree.tree_flatten((args, kwargs))
    cards = [each for each in given if isinstance(each, CardTensor)]
    device = kwargs.get("device")
    is_result_here = bool(cards) if device is None else torch.device(device).type == CARD.type
    if not cards and not is_result_here:
        return function(*args, **kwargs)
    if cards and name not in _MOVES:
        _refuse_others(name, given, args)
    plain = [each.held if isinstance(each, CardTensor) else each for each in given]
    plain_args, plain_kwargs = _pytree.tree_unflatten(plain, shape)
    if device is not None:
        plain_kwargs = {**plain_kwargs, "device": torch.device("cpu")}
    result = function(*plain_args, **plain_kwargs)
    if name.endswith("_"):
        return args[0] if function._schema.returns else None
    known = {id(each.held): each for each in cards}
    return _pytree.tree_map(_choose_place(known) if is_result_here else _leave(known), result)


def _choose_place(known: Mapping[int, CardTensor]) -> Callable[[Any], Any]:
    def place(value: Any) -> Any:
        if not isinstance(value, Tensor) or isinstance(value, CardTensor):
            return value
        return known.get(id(value)) or CardTensor(value)

    return place


def _leave(known: Mapping[int, CardTensor]) -> Callable[[Any], Any]:
    """Copy what comes back as it is: a move to the CPU shares nothing with the card."""
    return lambda value: value.clone() if id(value) in known else value


def _refuse_others(name: str, given: Sequence[Any], args: Sequence[Any]) -> None:
    is_indexed = name in _INDEXING and isinstance(args[0], CardTensor)
    allowed = [id(each) for each in args[1] if each is not None] if is_indexed else []
    strangers = [
        each
        for each in given
        if isinstance(each, Tensor | torch.Generator)
        and not isinstance(each, CardTensor)
        and getattr(each, "ndim", 1) != 0  # a number may be of either
        and id(each) not in allowed
    ]
    if strangers:
        message = f"{name}: expected all tensors to be on the card, but found one of the CPU"
        raise RuntimeError(message)
