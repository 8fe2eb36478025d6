"""An erasure dossier: the request, the files, what was found, what may be left, and who signed."""

from dataclasses import dataclass
from typing import Literal

from nhle_onnx.values.verdict import Check, Verdict

Kind = Literal["erasure", "masking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked, on what legal basis, and when; dates as YYYY-MM-DD."""

    id: str
    received: str
    completed: str
    due: str | None
    basis: str | None
    forget: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signed, as what, and when."""

    name: str
    role: str
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundFile:
    """A file by its digest. `confirmed_by` are the documents that state the same digest.

    `sidecars` are the digests of files that hold a model's weights. Without a size, the file was
    not given, and its digest is only what the documents state.
    """

    role: str
    name: str
    sha256: str
    size_bytes: int | None
    sidecars: dict[str, str]
    confirmed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one report found: of the edited model, of a derived file, or on a device."""

    source: str
    verdict: Verdict
    meaning: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """The whole of `dossier.json`.

    `kind` is masking where only the head was edited. `gaps` say what was not shown, `risks` what
    may be left. `key_sha256` is the fingerprint of the public key of the signature beside it.
    """

    schema: str = "nhle-onnx/dossier/v1"
    tool: dict[str, str]
    request: Request
    kind: Kind
    labels: tuple[str, ...]
    forget: tuple[int, ...]
    command: str
    method: dict[str, str]
    files: tuple[BoundFile, ...]
    findings: tuple[Finding, ...]
    gaps: tuple[str, ...]
    risks: tuple[str, ...]
    signers: tuple[Signer, ...]
    key_sha256: str | None

    @property
    def verdict(self) -> Verdict:
        """PASSED only if every report passed, nothing is missing, and it was not masking alone."""
        verdicts = {finding.verdict for finding in self.findings}
        if "failed" in verdicts:
            return "failed"
        is_open = self.gaps or self.kind == "masking" or "not-judged" in verdicts
        return "not-judged" if is_open else "passed"

    @property
    def passed(self) -> bool:
        """Whether erasure was shown."""
        return self.verdict == "passed"
