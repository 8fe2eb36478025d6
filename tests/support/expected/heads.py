"""What is read of every form of head and tail, a line for each."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from onnx import ModelProto

from nhle_onnx.graph.head.find import find_head
from nhle_onnx.values.model import ClassifierHead, QuantParams
from support.head_forms import Form, build
from support.quantized_forms import FORMS
from support.tail_forms import TAILS, Tail, load

_USUAL = {"bias_scale": 1.0, "is_clamped": False}


def describe_head(proto: ModelProto) -> str:
    """Write the fields of a model's head, without those that are as usual."""
    with TemporaryDirectory() as folder:
        return _describe(find_head(load(proto, Path(folder))))


def _describe(value: ClassifierHead | QuantParams) -> str:
    usual = {field.name: field.default for field in fields(value)} | _USUAL
    values = {field.name: getattr(value, field.name) for field in fields(value)}
    told = {name: value for name, value in values.items() if value != usual[name]}
    return ", ".join(f"{name}={_write(value)}" for name, value in told.items())


def _write(value: object) -> str:
    if isinstance(value, ClassifierHead | QuantParams):
        return f"({_describe(value)})"
    if isinstance(value, tuple):
        return f"[{' '.join(map(_write, value))}]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _read_form(make: Callable[[], Form]) -> str:
    return describe_head(build(make()))


def _read_tail(make: Callable[[], Tail]) -> str:
    return describe_head(make().build())


HEADS: Mapping[str, Callable[[], str]] = {
    **{name: partial(_read_form, make) for name, make in FORMS.items()},
    **{name: partial(_read_tail, make) for name, make in TAILS.items()},
}
DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "heads.txt": lambda: "".join(f"{name}: {told()}\n" for name, told in HEADS.items())
}
