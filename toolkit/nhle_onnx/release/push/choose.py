"""Registries by the name before the colon of a target."""

from collections.abc import Callable, Mapping
from typing import Final

from nhle_onnx.errors import UsageError
from nhle_onnx.release.push.hugging_face import push_hugging_face
from nhle_onnx.release.push.mlflow_run import push_mlflow
from nhle_onnx.release.push.oci import push_oci
from nhle_onnx.values.push import Package, Pushed, Registry, Target

_PUSH: Final[Mapping[Registry, Callable[[str, Package], str]]] = {
    "mlflow": push_mlflow,
    "hf": push_hugging_face,
    "oci": push_oci,
}


def parse_target(text: str) -> Target:
    """Parse `hf:owner/name`. Raises UsageError."""
    registry, colon, place = text.partition(":")
    for known in _PUSH:
        if registry == known and colon and place:
            return Target(registry=known, place=place)
    message = f"{text} names no registry"
    raise UsageError(message, remedy="Give mlflow:EXPERIMENT, hf:OWNER/NAME or oci:FOLDER.")


def push_package(target: Target, package: Package) -> Pushed:
    """Push a package; return where it went."""
    return Pushed(target=str(target), place=_PUSH[target.registry](target.place, package))
