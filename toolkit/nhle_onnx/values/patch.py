"""The contents of a patch: how each file of the result is made from the base's files."""

from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

SCHEMA: Final = "nhle-onnx/patch/v1"
Width = Literal[1, 2, 4]

Count = Annotated[int, Field(ge=0, le=2**48)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_MAX_NAME = 200
MAX_PIECES = 2**17


def check_file_name(name: str) -> str:
    """Return a plain file name unchanged. Raises ValueError for a name that contains a folder,
    starts with a dot (a hidden file, which a shell might run), or has unprintable characters.
    """
    if name.startswith(".") or not name.isprintable() or {"/", "\\"} & {*name}:
        raise ValueError(f"{name} is not a plain file name")
    if not 0 < len(name) <= _MAX_NAME:
        raise ValueError(f"a file name has {len(name)} characters")
    return name


FileName = Annotated[str, AfterValidator(check_file_name)]


class Piece(NamedTuple):
    """The next bytes of a result.

    `copy`: `size` bytes of base file `source` from `offset`. `delta`: the same, with a difference
    added to each word of `width` bytes. `sum`: the same, with a multiple of 2 to the `exponent`
    added to each float. `insert`: new bytes.
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
    """A file's name, digest and size. The first file is the model, others hold its weights."""

    name: FileName
    sha256: Digest
    size_bytes: Count


class MadeFile(PatchedFile):
    """A file of the result, and the pieces that make it up."""

    pieces: tuple[Piece, ...]

    @model_validator(mode="after")
    def check_sizes(self) -> Self:
        """Check that the pieces add up to the file, and hold whole words."""
        if sum(piece.size for piece in self.pieces) != self.size_bytes:
            raise ValueError(f"the pieces of {self.name} do not add up to the file's size")
        for piece in self.pieces:
            width = 4 if piece.kind == "sum" else piece.width
            if piece.kind in {"delta", "sum"} and piece.size % width:
                raise ValueError(f"a piece of {self.name} ends within a word")
        return self


class PatchedTensor(_Part):
    """A changed tensor: changed rows (first and last of each run), the new digest, and encoding.

    Only older patches have a digest of what was `before`. If one number of a bias was masked, such
    a digest gives it back to anyone who tries all numbers.
    """

    name: str
    dtype: str
    shape: tuple[Count, ...]
    rows: tuple[tuple[Count, Count], ...] | Literal["all"]
    encoding: Literal["delta", "sum", "new values", "several"]
    before: Digest | None = None
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
        """Check that no two files have the same name, that no piece lies outside the base, and that
        there are not so many pieces that applying them takes minutes.
        """
        if sum(len(file.pieces) for file in self.result) > MAX_PIECES:
            raise ValueError(f"it has more than {MAX_PIECES:,} pieces")
        for files in (self.base, self.result):
            if len({file.name.casefold() for file in files}) < len(files):
                raise ValueError("two files have the same name")
        for file in self.result:
            _check_pieces(file, [base.size_bytes for base in self.base])
        return self


def _check_pieces(file: MadeFile, sizes: list[int]) -> None:
    for piece in file.pieces:
        if piece.kind == "insert":
            continue
        if piece.source >= len(sizes) or piece.offset + piece.size > sizes[piece.source]:
            raise ValueError(f"a piece of {file.name} is not in the base")
