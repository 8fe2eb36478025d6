"""What a patch says: how each file of the result is made of the base's files."""

from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

SCHEMA: Final = "nhle-onnx/patch/v1"
Width = Literal[1, 2, 4]

Count = Annotated[int, Field(ge=0, le=2**48)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_MAX_NAME = 200


def check_file_name(name: str) -> str:
    """A name in the model's own folder, as it is. Raises ValueError for one that leads elsewhere,
    that hides the file (a shell may run it), or that cannot be shown.
    """
    if name.startswith(".") or not name.isprintable() or {"/", "\\"} & {*name}:
        message = f"{name} is no plain name of a file"
        raise ValueError(message)
    if not 0 < len(name) <= _MAX_NAME:
        message = f"a file's name has {len(name)} characters"
        raise ValueError(message)
    return name


FileName = Annotated[str, AfterValidator(check_file_name)]


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

    @model_validator(mode="after")
    def check_sizes(self) -> Self:
        """The pieces are the file, and hold whole words."""
        if sum(piece.size for piece in self.pieces) != self.size_bytes:
            message = f"the pieces of {self.name} are not as long as the file"
            raise ValueError(message)
        for piece in self.pieces:
            width = 4 if piece.kind == "sum" else piece.width
            if piece.kind in {"delta", "sum"} and piece.size % width:
                message = f"a piece of {self.name} ends within a word"
                raise ValueError(message)
        return self


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

    @model_validator(mode="after")
    def check_files(self) -> Self:
        """No two files have one name, and no piece is beyond the base."""
        for files in (self.base, self.result):
            if len({file.name.casefold() for file in files}) < len(files):
                message = "two files have one name"
                raise ValueError(message)
        for file in self.result:
            _check_pieces(file, [base.size_bytes for base in self.base])
        return self


def _check_pieces(file: MadeFile, sizes: list[int]) -> None:
    for piece in file.pieces:
        if piece.kind == "insert":
            continue
        if piece.source >= len(sizes) or piece.offset + piece.size > sizes[piece.source]:
            message = f"a piece of {file.name} is not in the base"
            raise ValueError(message)
