"""What a patch says: how each file of the result is made of the base's files."""

from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

SCHEMA: Final = "nhle-onnx/patch/v1"
Width = Literal[1, 2, 4]

Count = Annotated[int, Field(ge=0, le=2**48)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# one name in the model's own folder
FileName = Annotated[str, Field(pattern=r"^[^/\\\x00-\x1f]{1,200}$")]


class Piece(NamedTuple):
    """The next bytes of a result: `size` bytes of base file `source` from `offset`, as they are
    (`copy`), with differences added to each word of `width` bytes (`delta`), or with multiples of
    2 to the `exponent` added to each float (`sum`); or new (`insert`).
    """

    kind: Literal["copy", "delta", "sum", "insert"]
    size: Count
    source: Count = 0
    offset: Count = 0
    width: Width = 1
    exponent: Annotated[int, Field(ge=-100, le=100)] = 0


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PatchedFile(_Part):
    """A file: its digest and size. The first is the model, others hold weights beside it."""

    name: FileName
    sha256: Digest
    size_bytes: Count


class MadeFile(PatchedFile):
    """A file of the result, and what it is made of."""

    pieces: tuple[Piece, ...]


class PatchedTensor(_Part):
    """A tensor that changed: which rows (first and last of each run), its digests, and how its new
    values are held.
    """

    name: str
    dtype: str
    shape: tuple[Count, ...]
    rows: tuple[tuple[Count, Count], ...] | Literal["all"]
    encoding: Literal["delta", "sum", "new values", "several"]
    before: Digest | None
    after: Digest


class Manifest(_Part):
    """The header of a patch."""

    schema_: Literal["nhle-onnx/patch/v1"] = Field(default=SCHEMA, alias="schema")
    tool: dict[str, str]
    base: tuple[PatchedFile, ...] = Field(min_length=1)
    result: tuple[MadeFile, ...] = Field(min_length=1)
    tensors: tuple[PatchedTensor, ...]
    forget: tuple[Count, ...] = ()
    report_sha256: Digest | None = None
