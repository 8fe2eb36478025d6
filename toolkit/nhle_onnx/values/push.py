"""A model that is pushed to a registry, and where it went. Fields are named as in the JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nhle_onnx.values.detection import EditReport

Registry = Literal["mlflow", "hf", "oci"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A registry, and the name or path there."""

    registry: Registry
    place: str

    def __str__(self) -> str:
        """As on the command line."""
        return f"{self.registry}:{self.place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An edited model with all that goes with it: `files` by name, and the card as README.md."""

    name: str
    report: EditReport
    files: Mapping[str, Path]
    card: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """Where a model went: an address, a path, or the name of a run."""

    target: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PushReport:
    """What `push` did."""

    schema: str = "nhle-onnx/push/v1"
    tool: dict[str, str]
    model: str
    sha256: str
    files: tuple[str, ...]
    pushed: tuple[Pushed, ...]
