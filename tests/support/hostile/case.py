"""What a hostile file is: how it is made, and what must happen to whoever opens it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec

import onnx
from onnx import ModelProto

MODEL = "model.onnx"
OUT = "out"  # a folder; nothing else may be written to
INSPECT = ("inspect", f"{{folder}}/{MODEL}")
MASK = (
    "unlearn", f"{{folder}}/{MODEL}", "--forget", "3", "--method", "cwm",
    "--out", f"{{folder}}/{OUT}/edited.onnx", "--quiet",
)  # fmt: skip

Build = Callable[[Path, ModelProto], None]
P = ParamSpec("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A command on the files; `{folder}` in it stands for theirs. It must exit with one of `codes`,
    and say `says`.
    """

    command: tuple[str, ...]
    codes: tuple[int, ...] = (3,)
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostileFile:
    """A file that tries something. `build` writes it into an empty folder, of a good model."""

    name: str
    tries: str
    build: Build
    attempts: tuple[Attempt, ...]
    is_dangerous: bool = False  # where the defence fails it blocks, or takes all memory


def refuse(
    name: str, tries: str, build: Build, says: str, *, is_dangerous: bool = False
) -> HostileFile:
    """A model that no command takes."""
    return HostileFile(
        name=name,
        tries=tries,
        build=build,
        attempts=tuple(Attempt(command=command, says=says) for command in (INSPECT, MASK)),
        is_dangerous=is_dangerous,
    )


def change(edit: Callable[Concatenate[ModelProto, P], None]) -> Callable[P, Build]:
    """Build by editing the good model; what the edit takes besides is given first."""

    @wraps(edit)
    def prepare(*arguments: P.args, **options: P.kwargs) -> Build:
        def build(folder: Path, model: ModelProto) -> None:
            edit(model, *arguments, **options)
            write(folder, model)

        return build

    return prepare


def write(folder: Path, model: ModelProto) -> None:
    """Save as it is: nothing is checked."""
    (folder / MODEL).write_bytes(model.SerializeToString())


def read_base(path: Path) -> ModelProto:
    """The good model, to be edited."""
    return onnx.load(path)
