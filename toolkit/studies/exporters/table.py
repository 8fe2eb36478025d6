"""Who exports what, in which formats, and in which environment."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

DATA = "data.npz"


class Cell(NamedTuple):
    """One file, as in its row's key."""

    exporter: str
    network: str
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The files that a program makes from each of some networks.

    `environment` names a list of pinned packages beside this file; if empty, this environment is
    used. `given` is what the program reads. Without `formats` it makes a folder that others read.
    """

    exporter: str
    program: str
    networks: tuple[str, ...]
    formats: tuple[str, ...] = ()
    environment: str = ""
    given: str = DATA

    @property
    def cells(self) -> Iterator[Cell]:
        """Its files."""
        return (
            Cell(self.exporter, network, name) for network in self.networks for name in self.formats
        )


_HUGGING_FACE = (
    "vit", "deit", "beit", "swin", "convnext", "resnet", "mobilevit", "mobilenetv2",
)  # fmt: skip
_CHANGED = ("onnxsim", "onnxslim", "float16", "ort-basic", "ort-extended", "ort-all")
TRAINED = Route(exporter="transformers", program="train_transformers", networks=_HUGGING_FACE)
ROUTES = (
    TRAINED,
    Route(
        exporter="torch",
        program="export_torch",
        networks=_HUGGING_FACE,
        formats=("dynamo", "torchscript"),
        given="transformers/{network}",
    ),
    Route(
        exporter="Optimum",
        program="export_optimum",
        environment="optimum",
        networks=_HUGGING_FACE,
        formats=("float32", "O2", "dynamic", "static"),
        given="transformers/{network}",
    ),
    Route(
        exporter="tools on dynamo",
        program="change",
        environment="change",
        networks=("vit", "convnext"),
        formats=_CHANGED,
        given="torch/{network}/dynamo.onnx",
    ),
    Route(
        exporter="tools on torchscript",
        program="change",
        environment="change",
        networks=("deit", "resnet"),
        formats=_CHANGED,
        given="torch/{network}/torchscript.onnx",
    ),
    Route(
        exporter="Keras 3",
        program="export_keras",
        environment="keras",
        networks=("mlp", "cnn", "mobile"),
        formats=(
            "keras", "tf2onnx", "tf2onnx-nchw", "tflite", "tflite-dynamic", "tflite-int8",
            "tflite-int8-io", "tflite-uint8-io",
        ),
    ),
    Route(
        exporter="PaddlePaddle",
        program="export_paddle",
        environment="paddle",
        networks=("mlp", "cnn", "mobile"),
        formats=("float32", "softmax"),
    ),
    Route(
        exporter="jax2onnx",
        program="export_jax",
        environment="jax",
        networks=("mlp", "cnn", "pooled"),
        formats=("float32", "softmax"),
    ),
    Route(
        exporter="skl2onnx",
        program="export_sklearn",
        networks=("mlp", "mlp-deep", "pipeline", "logistic"),
        formats=("tensor", "zipmap"),
    ),
)  # fmt: skip
EXPORTERS = tuple(route.exporter for route in ROUTES if route.formats)
