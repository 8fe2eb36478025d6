"""The flags of the commands as keywords, which are checked as the command line checks them."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from nhle_onnx.data.preprocess_sources import PreprocessFlags
from nhle_onnx.errors import UsageError
from nhle_onnx.runtime.session import Provider
from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.limits import MAX_ELEMENTS
from nhle_onnx.values.preprocess import Layout
from nhle_onnx.values.request import Loss, Mask, Method, Scope
from nhle_onnx.workflows.classifier import ModelFlags

Device = Literal["auto", "cpu", "cuda"]
StrPath = str | PathLike[str]
Classes = int | str | Sequence[int | str]
Keywords = TypeVar("Keywords")


def _to_path(path: StrPath) -> Path:
    return Path(path)


def _to_text(path: StrPath) -> str:
    return str(path)


def _to_several(provider: Provider | tuple[Provider, ...]) -> tuple[Provider, ...]:
    return (provider,) if isinstance(provider, str) else provider


_Path = Annotated[StrPath, AfterValidator(_to_path)]
_Numbers = Annotated[tuple[float, ...], Field(min_length=1, max_length=4)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=1)]


class ModelKeywords(TypedDict, total=False):
    """How images become the model's input, and where its scores are. None is as if not given."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]  # as pydantic asks for it

    output: str | None
    labels: _Path | None
    preprocess: _Path | None
    mean: _Numbers | None
    std: _Numbers | None
    size: tuple[int, int] | None
    layout: Layout | None
    range: tuple[float, float] | None
    max_elements: _Count


class RunKeywords(ModelKeywords, total=False):
    """What every command that runs a model takes."""

    max_acc_f: _Share
    batch_size: _Count
    kernels: Kernels


class TuningKeywords(RunKeywords, total=False):
    """How `unlearn` works; `lr` and `steps` are found where they are None."""

    samples_per_class: _Count
    eval_data: _Path | None
    method: Method
    loss: Loss
    anchors: Annotated[StrPath, AfterValidator(_to_text)]
    scope: Scope
    mask: Mask
    rescale: bool
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    steps: _Count | None
    max_acc_r_drop: Annotated[float, Field(ge=-1, le=1)]
    provider: Provider
    device: Device
    seed: int
    report: _Path | None
    bom: _Path | None
    also: tuple[Literal["ort"], ...]
    force: bool


class UnlearnKeywords(TuningKeywords, total=False):
    """The flags of `unlearn`."""

    samples: _Path | None
    out: _Path | None


class VerifyKeywords(RunKeywords, total=False):
    """The flags of `verify`; the first provider is compared with the baseline."""

    baseline: _Path | None
    engine: str
    jobs: _Count | None
    provider: Annotated[Provider | tuple[Provider, ...], AfterValidator(_to_several)]
    max_acc_r_drop: Annotated[float, Field(ge=-1, le=1)]


class AuditKeywords(RunKeywords, total=False):
    """The flags of `audit`."""

    reference: _Path | None
    members: _Path | None
    report: _Path | None
    unlearn_report: _Path | None
    provider: Provider
    device: Device
    seed: int
    force: bool


def check_keywords(kind: type[Keywords], given: Mapping[str, object]) -> dict[str, Any]:
    """The keywords that were given, converted. Raises UsageError for what a flag would refuse."""
    try:
        checked: Any = TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        message = f"{fault['loc'][0]}: {fault['msg']}"
        raise UsageError(message, remedy="See help() of the function.") from error
    return {name: value for name, value in checked.items() if value is not None}


def take_model_flags(values: dict[str, Any]) -> ModelFlags:
    """Take the keywords of `ModelKeywords` out of checked ones."""
    preprocess = PreprocessFlags(
        file=values.pop("preprocess", None),
        mean=values.pop("mean", None),
        std=values.pop("std", None),
        size=values.pop("size", None),
        pixel_range=values.pop("range", None),
    )
    return ModelFlags(
        output=values.pop("output", None),
        labels=values.pop("labels", None),
        layout=values.pop("layout", None),
        max_elements=values.pop("max_elements", MAX_ELEMENTS),
        preprocess=preprocess,
    )


def take_fields(kind: Any, values: dict[str, Any]) -> Any:  # noqa: ANN401 - any dataclass
    """Take the fields of a dataclass out of checked keywords, and make one of it."""
    names = kind.__dataclass_fields__.keys() & values.keys()
    return kind(**{name: values.pop(name) for name in names})


def name_classes(forget: Classes) -> tuple[str, ...]:
    """One class or several, as the command line would write them."""
    several = [forget] if isinstance(forget, int | str) else forget
    return tuple(map(str, several))


def render_call(function: str, **given: object) -> str:
    """The call as it is kept in a report, where a command line would stand."""
    shown = {name: str(value) if isinstance(value, PathLike) else value
             for name, value in given.items()}  # fmt: skip
    arguments = ", ".join(f"{name}={value!r}" for name, value in shown.items())
    return f"nhle_onnx.{function}({arguments})"
