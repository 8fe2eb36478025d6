"""CASE.toml: the request, and the paths of the files that a dossier binds."""

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nhle_onnx.errors import InputRefusedError, describe_error
from nhle_onnx.graph.toml_files import read_toml
from nhle_onnx.text import to_line

_EXAMPLE = "See the annotated example in docs/how-to/dossier.md."

Text = Annotated[str, Field(min_length=1, max_length=2000)]
Class = int | Text


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class RequestTable(_Table):
    """`[request]`: what was asked, and when."""

    id: Text
    received: dt.date
    completed: dt.date
    due: dt.date | None = None
    basis: Text | None = None
    forget: Class | Annotated[list[Class], Field(min_length=1)]

    @model_validator(mode="after")
    def check_dates(self) -> Self:
        """Check that dates are in order."""
        if self.completed < self.received:
            message = f"completed on {self.completed}, before it was received on {self.received}"
            raise ValueError(message)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Return the classes, as `unlearn` takes them."""
        return tuple(map(str, self.forget if isinstance(self.forget, list) else [self.forget]))


class FilesTable(_Table):
    """`[files]`: what was shipped, and the reports about it."""

    original: Text | None = None
    edited: Text
    unlearn: Text
    verify: Text | None = None
    audit: Text | None = None
    patch: Text | None = None
    kits: list[Text] = []
    devices: list[Text] = []


class DerivedTable(_Table):
    """`[[derived]]`: a file made of the edited model, and the report of `verify` about it."""

    file: Text
    kind: Text
    report: Text | None = None


class SignerTable(_Table):
    """`[[signed_by]]`: who answers for the dossier."""

    name: Text
    role: Text
    date: dt.date


class Case(_Table):
    """The whole of CASE.toml."""

    request: RequestTable
    files: FilesTable
    derived: list[DerivedTable] = []
    signed_by: Annotated[list[SignerTable], Field(min_length=1)]


def read_case(path: Path) -> Case:
    """Read CASE.toml. Raises InputRefusedError that names the key."""
    try:
        content = read_toml(path)
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read as TOML: {describe_error(error)}"
        raise InputRefusedError(message, remedy=_EXAMPLE) from error
    try:
        return Case.model_validate(content)
    except ValidationError as error:
        raise _refuse(path, error.errors(include_url=False)[0]) from error


def _refuse(path: Path, first: Any) -> InputRefusedError:  # noqa: ANN401 - pydantic's details
    key = ".".join(map(str, first["loc"])) or "its content"
    message = f"{path}: {to_line(key)}: {first['msg']}"
    return InputRefusedError(message, remedy=_EXAMPLE)
