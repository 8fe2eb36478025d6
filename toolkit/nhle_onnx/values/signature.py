"""Keys that sign, keys that are trusted, and signed files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key, and its certificate with the chain to a root, if it has one."""

    private_key: Path
    password: str | None = None
    certificate: Path | None = None
    chain: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """What signatures must match: a public key, or trusted root certificates."""

    public_key: Path | None = None
    chain: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Require exactly one kind of trust."""
        if bool(self.public_key) is bool(self.chain):
            raise ValueError("give either a public key or certificates to trust")

    def __str__(self) -> str:
        """The name used in messages."""
        return str(self.public_key) if self.public_key else ", ".join(map(str, self.chain))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedFile:
    """A signed file's name in its folder, and its digest."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureReport:
    """The files that `sign` signed, or that `check-signature` found unchanged."""

    schema: str = "nhle-onnx/signature/v1"
    tool: dict[str, str]
    signature: str
    state: Literal["signed", "intact"]
    files: tuple[SignedFile, ...]
