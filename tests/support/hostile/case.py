"""What a hostile file is: how it is made, and what must happen to whoever opens it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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


def change(edit: Callable[[ModelProto], None]) -> Build:
    """Build by editing the good model."""

    def build(folder: Path, model: ModelProto) -> None:
        edit(model)
        write(folder, model)

    return build


def write(folder: Path, model: ModelProto) -> None:
    """Save as it is: nothing is checked."""
    (folder / MODEL).write_bytes(model.SerializeToString())


def read_base(path: Path) -> ModelProto:
    """The good model, to be edited."""
    return onnx.load(path)
