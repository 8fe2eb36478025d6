"""The keywords of the functions, by name and type.

The classes here only give these to type checkers and editors. Values, meanings and defaults are
declared in the settings alone; a test compares both.
"""

from collections.abc import Sequence
from os import PathLike
from typing import Literal, TypedDict

from nhle_onnx.values.kernels import Kernels
from nhle_onnx.values.places import Device, OrtProvider, Provider, Runtime
from nhle_onnx.values.preprocess import ChannelOrder, Layout
from nhle_onnx.values.request import Effort, Loss, Mask, Method, Scope

StrPath = str | PathLike[str]
Classes = int | str | Sequence[int | str]


class ModelKeywords(TypedDict, total=False):
    """How images become the model's input, and where its scores are. None means not given."""

    graph_output: str | None
    input: str | tuple[str, ...]
    labels: StrPath | None
    preprocess: StrPath | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    size: tuple[int, int] | None
    layout: Layout | None
    range: tuple[float, float] | None
    channels: ChannelOrder | None
    resize: Literal["squash", "shortest", "longest"] | None
    crop_pct: float | None
    resample: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] | None
    max_elements: int


class InspectKeywords(ModelKeywords, total=False):
    """The keywords of `inspect`."""

    data: StrPath | None


class RunKeywords(ModelKeywords, total=False):
    """Keywords of every command that runs a model."""

    max_acc_f: float
    max_acc_r_drop: float
    max_uncertainty: float
    batch_size: int
    kernels: Kernels


class TuningKeywords(RunKeywords, total=False):
    """How `unlearn` works; if None, `lr` and `steps` are derived from the samples."""

    samples_per_class: int
    data: StrPath | None
    method: Method
    loss: Loss
    anchors: StrPath
    scope: Scope
    mask: Mask
    lr: float | None
    steps: int | None
    effort: Effort
    force_unknown: bool
    provider: Provider | OrtProvider
    device: Device
    seed: int
    report: StrPath | None
    report_images: int
    bom: StrPath | None
    also: Literal["ort"] | tuple[Literal["ort"], ...]
    force: bool


class UnlearnKeywords(TuningKeywords, total=False):
    """The keywords of `unlearn`."""

    samples: StrPath | None
    out: StrPath | None


class VerifyKeywords(RunKeywords, total=False):
    """The keywords of `verify`; the first provider is compared with the baseline."""

    baseline: StrPath | None
    engine: str
    jobs: int | None
    report: StrPath | None
    report_images: int
    force: bool
    provider: Provider | OrtProvider | tuple[Provider | OrtProvider, ...]
    runtime: Runtime


class AuditKeywords(RunKeywords, total=False):
    """The keywords of `audit`."""

    patch: StrPath | None
    effort: Effort
    shadows: int | None
    reference: StrPath | None
    members: StrPath | None
    report: StrPath | None
    report_images: int
    unlearn_report: StrPath | None
    repeats: int
    provider: Provider | OrtProvider
    device: Device
    seed: int
    force: bool
