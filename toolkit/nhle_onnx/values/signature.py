"""Who signs, who is trusted, and what was signed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key; with a certificate for it and those that lead on to a root, if it has one."""

    private_key: Path
    password: str | None = None
    certificate: Path | None = None
    chain: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """Whose signatures count: a public key's, or those of certificates that others vouch for."""

    public_key: Path | None = None
    chain: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Nobody is trusted by default."""
        if bool(self.public_key) is bool(self.chain):
            message = "either a public key is trusted or certificates"
            raise ValueError(message)

    def __str__(self) -> str:
        """As messages name it."""
        return str(self.public_key) if self.public_key else ", ".join(map(str, self.chain))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedFile:
    """A file by its name in the folder of what was signed with it."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureReport:
    """What `sign` signed, or `check-signature` found to be as it was signed."""

    schema: str = "nhle-onnx/signature/v1"
    tool: dict[str, str]
    signature: str
    state: Literal["signed", "intact"]
    files: tuple[SignedFile, ...]
